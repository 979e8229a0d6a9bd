/* host/app/configuration_json.h - one configuration, and one picture, as the document has them. */
#ifndef HOST_APP_CONFIGURATION_JSON_H
#define HOST_APP_CONFIGURATION_JSON_H

#include <cjson/cJSON.h>

#include "host/app/measured.h"

/* Takes `places`, the list of its pictures. Null if there is no memory. */
cJSON *configuration_json(const struct measured *measured, cJSON *places);

/* The picture of configuration `index`; its file is null until it is written. */
cJSON *configuration_picture_json(const struct measured *measured, size_t index,
                                  const struct miku_picture *picture);

/* A series with its summary; null (the value) if it is empty. */
cJSON *configuration_series_json(const struct series *series, const char *unit);

#endif
