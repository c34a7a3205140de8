/* --vm-verify: the integrity of the whole file. */
#ifndef SMOLPACK_VERIFY_H
#define SMOLPACK_VERIFY_H

#include "artifact.h"
#include "signature.h"

/**
 * verify_print - compare every byte of the file with what its table says, and describe the
 * result on stdout; several threads share the work.
 *
 * @signatures: those that were found to match the table.
 * Return: 0, -EILSEQ when something is damaged, or a negative errno when stdout fails.
 */
int verify_print(const struct artifact *artifact, const struct signatures *signatures);

#endif
