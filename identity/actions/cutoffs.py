"""Cut-offs: read. They are written by the verbs that cut."""

from identity.store.tokens import cutoff_list

list_cutoffs = cutoff_list
