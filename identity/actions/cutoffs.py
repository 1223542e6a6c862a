"""Cut-offs: read. The actions that cut write them."""

from identity.store.cutoffs import cutoff_list

list_cutoffs = cutoff_list
