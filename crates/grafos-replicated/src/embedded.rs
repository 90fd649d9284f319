//! The embedded engine: one machine, no server. A register in SQLite that many processes share, replicas that are
//! directories, each perhaps on a disk of its own.
//!
//! - `sqlite`: [`SqliteMetadataStore`], and how its errors tell what is certain from what is not.
//! - `directory`: [`DirectoryReplica`], its marker, its writers, and what dead writers leave behind.
//! - `home`: [`EmbeddedHome`] puts both in the user's home directory for them.
//! - `dir`: directories entered by file descriptor, so that no link leads out of them.
//!
//! Invariant: what is acknowledged is durable, in the file and in every directory on the way to it.
//! `docs/replicated-format.md` has the layout of the files and why a power cut at any moment leaves them whole.

mod dir;
mod directory;
mod home;
mod sqlite;

pub use directory::DirectoryReplica;
pub use home::{EmbeddedHome, EmbeddedHomeBuilder};
pub use sqlite::SqliteMetadataStore;
