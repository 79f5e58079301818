// Package ownhost keeps other sites from reading what a developer's machine serves to
// itself. A page in a browser may have its own name lead to 127.0.0.1 (DNS rebinding);
// then its requests arrive here, under that name. The sandbox and the Web UI, which
// ask nobody for a key, answer only under names of their own.
package ownhost
