/* weights/store_list.h - the files of a store, as its walk and its look-up share them. */
#ifndef WEIGHTS_STORE_LIST_H
#define WEIGHTS_STORE_LIST_H

#include "weights/file_facts.h"
#include "weights/store.h"

struct store_folder { /* seen already */
    uint64_t device, inode;
};

struct store {
    struct store_file **files; /* [count], by path without letter case; each allocated alone, so
                                  that what was lent stays good when more are added */
    size_t count, cap;
    struct store_folder *folders;
    size_t folder_count, folder_cap;
    struct file_facts *kinds;
};

#endif
