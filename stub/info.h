/* What --vm-info prints. */
#ifndef SMOLPACK_INFO_H
#define SMOLPACK_INFO_H

#include "artifact.h"
#include "signature.h"

/** info_print - describe the packed file on stdout. Return: 0, or a negative errno when stdout fails. */
int info_print(const struct artifact *artifact, const struct signatures *signatures);

/** info_print_signers - a line on stdout for each key that signed, or `unsigned`. */
void info_print_signers(const struct signatures *signatures);

#endif
