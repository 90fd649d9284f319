//! Only tests: `cargo test -p grafos-kernel-compat`. They need `ringkernel-core` and all that it needs, so that nobody
//! builds it who does not ask for it.
