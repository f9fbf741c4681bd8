/** The X.509 library with what it needs first. Loaded only when a certificate is made: every command would pay for it. */
import 'reflect-metadata';
import * as x509 from '@peculiar/x509';

x509.cryptoProvider.set(crypto);

export { x509 };
