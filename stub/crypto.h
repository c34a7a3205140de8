/* The cryptographic library, ready for use: its fastest implementation for this processor. */
#ifndef SMOLPACK_CRYPTO_H
#define SMOLPACK_CRYPTO_H

/** crypto_prepare - choose implementations; before any other thread uses the library. */
void crypto_prepare(void);

#endif
