/** The X.509 library. Loaded only when a certificate is made: every command would pay for it. */
import * as x509 from '@peculiar/x509';

x509.cryptoProvider.set(crypto);

export { x509 };
