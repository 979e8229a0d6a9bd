/* weights/store.h - the weights files in some folders, by kind and name. */
#ifndef WEIGHTS_STORE_H
#define WEIGHTS_STORE_H

#include <stdint.h>

#include "weights/hash.h"
#include "weights/kind.h"

#ifdef __cplusplus
extern "C" {
#endif

struct store;

struct store_file {
    const char *name; /* file name without its last extension: "AOM3", "orangemix.vae" */
    const char *path;
    const char *below; /* path below the folder that was added, without extension: "sub/AOM3" */
    const char *alias; /* a LoRA's ss_output_name, or "" */
    enum weights_kind kind;
    const char *problem; /* why it could not be read, or ""; kind is then WEIGHTS_OTHER */
    uint64_t bytes;
    uint64_t device, inode; /* two entries of one file have both in common */
};

/* cache_dir keeps kinds by path, size and time between runs, as hash.h keeps hashes; may be null.
 */
status store_create(const char *cache_dir, struct store **out);
void store_destroy(struct store *store); /* null is fine */

/* Looks through a folder and all below it, links followed, each folder once. Files called
 * *.safetensors, *.ckpt, *.pt, *.pth and *.bin are opened and their kind is told by their tensors.
 * A single file may be given too.
 * returns  STATUS_IO  it is not there, or not readable (folders and files inside that are not are
 *                     passed over) */
status store_add(struct store *store, const char *folder);

size_t store_count(const struct store *store); /* all files, in order of path */
const struct store_file *store_at(const struct store *store, size_t i);

/* The file of a kind by name, lent.
 *
 * A name is compared with the stem, the stem without ".vae", the file name with its extension,
 * the path below the folder (as it is, or as `Model:` in an infotext has it: separators as '_',
 * no commas and colons) and a LoRA's alias, in that order; "oramgemix.vae" is "orangemix.vae". For
 * checkpoints and VAEs letter case is passed over where nothing fits exactly. Of several LoRAs or
 * embeddings of one name the last in case-insensitive order of path serves, as in the web UI.
 *
 * returns  STATUS_NOT_FOUND  the text has the nearest names, and what of another kind has the name
 *          STATUS_MISUSE     several checkpoints or VAEs have the name; the text has their paths */
status store_find(const struct store *store, enum weights_kind kind, const char *name,
                  const struct store_file **out);

/* STATUS_MISUSE, with their paths, if several different files of the kind have the name. */
status store_only(const struct store *store, enum weights_kind kind, const char *name);

/* The checkpoint of an infotext: by name, else by hash under any name (10 digits or more, or the 8
 * of the old hash); either may be null. Among several of one name the one with the hash is taken.
 */
status store_find_model(const struct store *store, struct hash_cache *hashes, const char *name,
                        const char *hash, const struct store_file **out);

/* The VAE beside a checkpoint: X.vae.pt, X.vae.ckpt or X.vae.safetensors for X.*, in this order;
 * null if there is none.
 * source   sd_vae.py: find_vae_near_checkpoint */
const struct store_file *store_vae_beside(const struct store *store,
                                          const struct store_file *checkpoint);

/* `Model:` of an infotext for a checkpoint: the path below the folder, separators as '_', no commas
 * and colons. free() it; null if there is no memory. */
char *store_model_name(const struct store_file *checkpoint);

#ifdef __cplusplus
}
#endif

#endif
