//! Many processes on one register and one replica, some of which are killed at any moment.

use std::collections::BTreeMap;
use std::path::Path;

use grafos_replicated::embedded::{DirectoryReplica, SqliteMetadataStore};
use grafos_replicated::{
    BlobSpace, BlobTag, CommitOutcome, Expect, FenceEpoch, MetadataStore, Nonce, PayloadReplica, RecordKey,
    ReplicaId, Revision, Transaction, Version,
};

use super::child::{Child, listen, say};

const ROUNDS: usize = 12;
const PROCESSES: usize = 3;
const EACH: u64 = 25;

fn key(name: &str) -> RecordKey {
    RecordKey::new("tested", &[name])
}

fn replica_id() -> ReplicaId {
    ReplicaId::new("a")
}

fn space() -> BlobSpace {
    BlobSpace::new("tested", "latest")
}

fn expect_of(store: &dyn MetadataStore, key: &RecordKey) -> (Expect, u64) {
    match store.read(key).unwrap() {
        None => (Expect::Absent, 0),
        Some(record) => {
            let number = u64::from_le_bytes(record.body.try_into().unwrap());
            (Expect::At(record.revision), number)
        }
    }
}

/// Adds one to each number, and deletes and makes a record of its own in turns: one transaction. The revision, and the
/// last number.
fn step(store: &dyn MetadataStore, numbers: &[&RecordKey]) -> Option<(Revision, u64)> {
    let fleeting = key(&format!("fleeting {}", std::process::id()));
    let (expect, _) = expect_of(store, &fleeting);
    let mut transaction = Transaction { guards: vec![(fleeting.clone(), expect)], ..Transaction::default() };
    match expect {
        Expect::Absent => transaction.puts.push((fleeting, 0_u64.to_le_bytes().into())),
        Expect::At(_) => transaction.deletes.push(fleeting),
    }
    let mut last = 0;
    for key in numbers {
        let (expect, number) = expect_of(store, key);
        last = number + 1;
        transaction.guards.push(((*key).clone(), expect));
        transaction.puts.push(((*key).clone(), last.to_le_bytes().into()));
    }
    match store.commit(&transaction).unwrap() {
        CommitOutcome::Committed(revision) => Some((revision, last)),
        CommitOutcome::Conflict => None,
        CommitOutcome::Unknown(cause) => panic!("on a healthy disk: {cause}"),
    }
}

/// The child's part: steps without end, and says each that was committed.
pub(crate) fn play_committer(place: &Path) {
    let store = SqliteMetadataStore::open_or_create(place).unwrap();
    let own = key(&std::process::id().to_string());
    say("ready");
    loop {
        if let Some((revision, count)) = step(&store, &[&own]) {
            say(&format!("{} {count}", revision.0));
        }
    }
}

/// The child's part: so many steps when it is told to.
pub(crate) fn play_adder(place: &Path) {
    let own = key(&std::process::id().to_string());
    say("ready");
    for _ in listen() {
        let store = SqliteMetadataStore::open_or_create(place).unwrap();
        let mut done = 0;
        while done < EACH {
            done += u64::from(step(&store, &[&key("shared"), &own]).is_some());
        }
        say("done");
    }
}

#[test]
fn processes_that_start_at_once_make_one_register_and_lose_no_change() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("register.sqlite3");
    let mut children: Vec<_> = (0..PROCESSES).map(|_| Child::start("adder", &path)).collect();
    for child in &mut children {
        assert_eq!(child.hear().as_deref(), Some("ready"));
    }
    assert!(!path.exists());
    children.iter_mut().for_each(|child| child.tell("go"));
    for child in &mut children {
        assert_eq!(child.hear().as_deref(), Some("done"));
    }
    let store = SqliteMetadataStore::open(&path).unwrap();
    let record = store.read(&key("shared")).unwrap().unwrap();
    let steps = EACH * PROCESSES as u64;
    assert_eq!(record.body, steps.to_le_bytes());
    assert_eq!(record.revision, Revision(steps), "each change took one revision");
    store.verify().unwrap();
    let entries = std::fs::read_dir(dir.path()).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    let open = ["register.sqlite3", "register.sqlite3-shm", "register.sqlite3-wal"];
    assert_eq!(names, open, "nothing else is left");
}

#[test]
fn what_killed_processes_have_committed_is_there_and_no_revision_comes_twice() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("register.sqlite3");
    // Who has said of which revision that it was his, and how many steps each has said.
    let mut revisions: BTreeMap<u64, u32> = BTreeMap::new();
    let mut counts: BTreeMap<u32, u64> = BTreeMap::new();
    let mut hear = |child: &mut Child, pid: u32| -> bool {
        let Some(said) = child.hear() else { return false };
        if let Some((revision, count)) = said.split_once(' ') {
            let (revision, count) = (revision.parse().unwrap(), count.parse().unwrap());
            assert_eq!(revisions.insert(revision, pid), None, "revision {revision} was given twice");
            assert_eq!(counts.insert(pid, count).unwrap_or(0) + 1, count);
        }
        true
    };
    let start = || Child::start("committer", &path);
    let mut children: Vec<_> = (0..PROCESSES).map(|_| start()).collect();
    for round in 0..ROUNDS {
        // Some steps of one of them, then the death of another, whatever that one is doing just now.
        let (listened, killed) = (round % PROCESSES, (round + 1) % PROCESSES);
        for _ in 0..3 + round * 5 % 17 {
            let pid = children[listened].pid();
            assert!(hear(&mut children[listened], pid));
        }
        let mut dead = std::mem::replace(&mut children[killed], start());
        let pid = dead.pid();
        dead.kill();
        while hear(&mut dead, pid) {}
    }
    for mut child in children {
        let pid = child.pid();
        child.kill();
        while hear(&mut child, pid) {}
    }
    // A killed process may have committed one more step than it could say.
    let store = SqliteMetadataStore::open(&path).unwrap();
    let mut sum = 0;
    for (key, record) in store.scan("tested/", None, usize::MAX).unwrap() {
        let Ok(pid) = key.as_str().trim_start_matches("tested/").parse::<u32>() else { continue };
        let (said, found) =
            (counts.remove(&pid).unwrap_or(0), u64::from_le_bytes(record.body.try_into().unwrap()));
        assert!(found == said || found == said + 1, "process {pid} has said {said} steps, {found} are there");
        sum += found;
    }
    assert!(counts.is_empty(), "steps of these processes are gone: {counts:?}");
    assert!(revisions.len() as u64 <= sum && sum > ROUNDS as u64 * 3);
    store.verify().unwrap();
    // Nothing is left locked, and no step has taken more than its revision.
    let (revision, _) = step(&store, &[&key("own")]).unwrap();
    assert_eq!(revision, Revision(sum + 1));
}

/// The child's part: blobs without end, and says when it has begun one and when it is finished.
pub(crate) fn play_blob_writer(place: &Path) {
    let replica = DirectoryReplica::open(place, &replica_id()).unwrap();
    for version in 1.. {
        let tag = tag(version, std::process::id());
        let mut writer = replica.create(&space(), &tag, Some(2 << 20)).unwrap();
        say("begun");
        for piece in blob(&tag).chunks(500_000) {
            writer.write(piece).unwrap();
        }
        writer.finish().unwrap();
        say(&format!("{version}"));
    }
}

fn tag(version: u64, pid: u32) -> BlobTag {
    BlobTag { epoch: FenceEpoch(1), version: Version(version), nonce: Nonce(u128::from(pid)) }
}

/// The bytes of the blob of this tag.
fn blob(tag: &BlobTag) -> Vec<u8> {
    let seed = tag.file_name();
    let len = 1_500_000 + usize::try_from(tag.version.0).unwrap() % 1000;
    seed.bytes().cycle().take(len).collect()
}

#[test]
fn blobs_of_killed_writers_are_whole_or_not_there_and_their_leftovers_go() {
    let dir = tempfile::tempdir().unwrap();
    DirectoryReplica::create(dir.path(), &replica_id()).unwrap();
    let mut wholes = 0;
    for round in 0..ROUNDS {
        // One that lives, and is not disturbed by those who open the replica and sweep.
        let replica = DirectoryReplica::open(dir.path(), &replica_id()).unwrap();
        let own = tag(1000 + round as u64, 0);
        let mut writer = replica.create(&space(), &own, None).unwrap();
        writer.write(&blob(&own)).unwrap();

        let mut child = Child::start("blob-writer", dir.path());
        for _ in 0..1 + round % 4 {
            child.hear().unwrap();
        }
        child.kill();
        // Only what it has said is promised.
        let mut finished = vec![own];
        finished.extend((1 + round % 4 >= 2).then(|| tag(1, child.pid())));
        finished.extend((1 + round % 4 >= 4).then(|| tag(2, child.pid())));
        let pid = child.pid();
        while let Some(said) = child.hear() {
            finished.extend(said.parse().map(|version| tag(version, pid)));
        }
        let other = DirectoryReplica::open(dir.path(), &replica_id()).unwrap();
        writer.finish().unwrap();
        let found = other.list(&space(), None, usize::MAX).unwrap();
        assert!(finished.iter().all(|tag| found.contains(tag)), "finished={finished:?}, found={found:?}");
        for tag in found {
            let mut bytes = vec![0; blob(&tag).len()];
            assert_eq!(other.len_bytes(&space(), &tag).unwrap(), bytes.len() as u64);
            other.read(&space(), &tag, 0, &mut bytes).unwrap();
            assert!(bytes == blob(&tag), "{} is not whole", tag.file_name());
            other.delete(&space(), &tag).unwrap();
            wholes += 1;
        }
    }
    assert!(wholes >= ROUNDS * 2);
    let left = std::fs::read_dir(dir.path().join(".writing")).unwrap().count();
    assert_eq!(left, 0, "files of dead writers");
}
