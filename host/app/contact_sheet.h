/* host/app/contact_sheet.h - sheet.png: the pictures of --all side by side. */
#ifndef HOST_APP_CONTACT_SHEET_H
#define HOST_APP_CONTACT_SHEET_H

#include "host/app/run.h"

/* Writes it into the folder of pictures and says so; nothing if none was made. */
status contact_sheet(const struct options *options, const struct run_kept *kept, size_t count);

#endif
