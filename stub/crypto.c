/*
 * Prepares libsodium: the part of sodium_init() that hashing needs.
 *
 * The whole of it would link every algorithm of the library and ask the kernel for
 * random bytes, for which a program that only verifies has no use.
 */
#include "crypto.h"

#include <sodium/private/implementations.h>
#include <sodium/runtime.h>

void crypto_prepare(void)
{
	_sodium_runtime_get_cpu_features();
	_crypto_generichash_blake2b_pick_best_implementation();
}
