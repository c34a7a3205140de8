/* What --vm-info prints. */
#ifndef SMOLPACK_INFO_H
#define SMOLPACK_INFO_H

#include "artifact.h"

/** info_print - describe the packed file on stdout. Return: 0, or a negative errno when stdout fails. */
int info_print(const struct artifact *artifact);

#endif
