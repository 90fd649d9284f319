//! A durable volume: its slots, and which of them a restore would take.

use std::io::{self, Read, Seek};

use grafos_collections::durable::{SlotCheckpoint, SlotReport, VolumeReport, inspect};
use serde_json::{Value, json};

use super::Report;
use crate::table::Table;
use crate::words;

/// `None` if it is no volume of ours.
pub(super) fn report<S: Read + Seek>(source: &mut S) -> io::Result<Option<VolumeReport>> {
    let report = inspect(source)?;
    source.rewind()?;
    Ok(Some(report).filter(VolumeReport::is_ours))
}

impl Report for VolumeReport {
    fn text(&self) -> Vec<String> {
        let heading =
            format!("durable volume, {}, {} slots", words::bytes(self.volume_bytes), self.slots.len());
        let mut table = Table::new(&[
            ">slot",
            ">sequence",
            ">epoch",
            "committed",
            ">payload",
            ">chunks",
            ">block",
            "root",
            "schema",
            "state",
        ]);
        for (slot, report) in self.slots.iter().enumerate() {
            table.row(row(slot, report));
        }
        let verdict = match self.newest_good() {
            Some((slot, newest)) => format!(
                "a restore takes slot {slot}: sequence={}, epoch={}",
                newest.info.sequence, newest.info.epoch
            ),
            None => "no checkpoint verifies: a restore fails".to_owned(),
        };
        let mut lines = vec![heading];
        lines.extend(table.lines());
        lines.push(verdict);
        if !self.is_good() {
            lines.push("a program that is writing at this moment may look damaged: look again".to_owned());
        }
        lines
    }

    fn json(&self) -> Value {
        let slots: Vec<Value> = self.slots.iter().map(slot_json).collect();
        json!({
            "kind": "durable_volume",
            "volume_bytes": self.volume_bytes,
            "slots": slots,
            "restore_slot": self.newest_good().map(|(slot, _)| slot),
        })
    }

    fn is_good(&self) -> bool {
        let is_bad = |slot: &SlotReport| match slot {
            SlotReport::Checkpoint(checkpoint) => checkpoint.fault.is_some(),
            SlotReport::Fault(_) => true,
            _ => false,
        };
        self.newest_good().is_some() && !self.slots.iter().any(is_bad)
    }
}

fn row(slot: usize, report: &SlotReport) -> Vec<String> {
    let checkpoint = match report {
        SlotReport::Checkpoint(checkpoint) => checkpoint,
        other => {
            let mut row = vec![String::new(); 10];
            if let [first, .., last] = row.as_mut_slice() {
                *first = slot.to_string();
                *last = state(other);
            }
            return row;
        }
    };
    let SlotCheckpoint { info, payload_block, chunks, payload_root, .. } = checkpoint;
    vec![
        slot.to_string(),
        info.sequence.to_string(),
        info.epoch.to_string(),
        words::unix_ms(info.unix_ms),
        words::bytes(info.payload_bytes),
        chunks.to_string(),
        payload_block.map_or_else(|| "header".to_owned(), |block| block.to_string()),
        words::short_hex(payload_root),
        info.schema.escape_debug().to_string(),
        state(report),
    ]
}

fn state(report: &SlotReport) -> String {
    match report {
        SlotReport::Blank => "blank".to_owned(),
        SlotReport::Checkpoint(checkpoint) => match &checkpoint.fault {
            None => "good".to_owned(),
            Some(fault) => format!("damaged: {fault}"),
        },
        SlotReport::OtherVersion(version) => {
            format!("format version {version}, which this program can't read")
        }
        SlotReport::Fault(fault) => format!("damaged: {fault}"),
        _ => "of a kind that this program does not know".to_owned(),
    }
}

fn slot_json(report: &SlotReport) -> Value {
    match report {
        SlotReport::Blank => json!({ "state": "blank" }),
        SlotReport::Checkpoint(checkpoint) => json!({
            "state": if checkpoint.fault.is_none() { "good" } else { "damaged" },
            "fault": checkpoint.fault.as_ref().map(ToString::to_string),
            "sequence": checkpoint.info.sequence,
            "epoch": checkpoint.info.epoch.0,
            "unix_ms": checkpoint.info.unix_ms,
            "payload_bytes": checkpoint.info.payload_bytes,
            "payload_block": checkpoint.payload_block,
            "chunks": checkpoint.chunks,
            "payload_root": words::hex(&checkpoint.payload_root),
            "schema": checkpoint.info.schema,
        }),
        SlotReport::OtherVersion(version) => json!({ "state": "other_version", "version": version }),
        SlotReport::Fault(fault) => json!({ "state": "damaged", "fault": fault.to_string() }),
        _ => json!({ "state": "unknown" }),
    }
}
