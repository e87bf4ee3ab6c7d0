/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Mutual TLS of links between machines: each side shows a certificate and takes only peers whose
 * certificate the authority signed; who dials checks the other's name too.
 */
struct nng_tls_config;

/* PEM files. A key file that others may read or change is refused. */
struct link_tls_files {
    const char *certificate;
    const char *key;
    const char *authority;
};

/*
 * `server_name`: whom a dialer wants to reach, as it stands in the other's certificate; NULL: the
 * listening side. -errno; *ret_wrong is the file it is about.
 */
int link_tls_new(struct nng_tls_config **ret_tls, const struct link_tls_files *files,
    const char *server_name, const char **ret_wrong);
void link_tls_free(struct nng_tls_config *tls);
/* For the log: what an error of link_tls_new means. */
const char *link_tls_problem(int rc);
