"""Cut-offs: read. The actions that cut write them."""

from identity.store.tokens import cutoff_list

list_cutoffs = cutoff_list
