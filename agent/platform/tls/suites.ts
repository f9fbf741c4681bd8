/**
 * What every TLS listener of the cluster offers: 1.2 at least, and of its suites those with a key of their
 * own and AEAD.
 */

export const MIN_TLS = 'TLSv1.2';

/**
 * In OpenSSL's words, for the agent's HTTPS and PostgreSQL. The suites of 1.3 are all of that kind and not
 * chosen here.
 */
export const OPENSSL_SUITES = 'ECDHE+AESGCM:ECDHE+CHACHA20';

/** In Go's words, as Consul 1.8 and later know them. */
export const GO_SUITES = [
  'TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256',
  'TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384',
  'TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256',
  'TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384',
].join(',');
