//! What a user would pick instead, each at the setting that survives a power cut.

mod redb;
mod rename;
mod sqlite;

pub(crate) use redb::Redb;
pub(crate) use rename::Rename;
pub(crate) use sqlite::{Journal, Sqlite};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contender::Commit;
    use crate::state::State;
    use grafos_bench_support::ByteSize;

    #[test]
    fn every_peer_keeps_the_state_committed_last() {
        let dir = tempfile::tempdir().unwrap();
        let peers: [Box<dyn Commit>; 4] = [
            Box::new(Redb::create(&dir.path().join("redb")).unwrap()),
            Box::new(Sqlite::create(&dir.path().join("rollback"), Journal::Rollback).unwrap()),
            Box::new(Sqlite::create(&dir.path().join("wal"), Journal::Wal).unwrap()),
            Box::new(Rename::create(dir.path()).unwrap()),
        ];
        for mut peer in peers {
            for bytes in [512, 70_001] {
                let mut state = State::new(ByteSize::of(bytes));
                for stamp in 0..3 {
                    state.change(stamp);
                    peer.commit(&state).unwrap();
                }
                assert!(peer.read_back().unwrap() == state.bytes());
            }
        }
    }
}
