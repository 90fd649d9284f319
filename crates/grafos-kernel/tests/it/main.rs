//! Kernel checkpoints through their public interface: round trips, golden files, damage, deltas, streams;
//! storages, processes that are killed, full disks, and the manager.

#![cfg(test)]

mod broken_storage;
mod child;
mod damage;
mod deltas;
mod full_disk;
mod golden;
mod manager;
mod persistent;
mod processes;
mod published;
mod replay;
mod round_trip;
mod samples;
mod storages;
mod streams;
