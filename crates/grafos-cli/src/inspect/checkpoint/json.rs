//! A checkpoint as programs read it. Ids and clocks are as large as 64 bits, which not every reader of JSON takes as a
//! number: ids are hexadecimal digits.

use grafos_kernel::checkpoint::{CheckpointError, ChunkInfo, DeltaInfo};
use serde_json::{Value, json};

use super::chain::{Chain, Link};
use super::text::{in_full, type_of};
use super::{Closed, Opened};

pub(super) fn closed(closed: &Closed) -> Value {
    let Closed { file_bytes, header, fault } = closed;
    json!({
        "kind": "kernel_checkpoint",
        "state": "damaged",
        "version": header.map(|header| header.version),
        "file_bytes": file_bytes,
        "faults": [in_full(fault)],
    })
}

pub(super) fn opened(opened: &Opened) -> Value {
    let reader = &opened.reader;
    let metadata = reader.metadata();
    let time = metadata.hlc_timestamp;
    let chunks: Vec<_> =
        reader.chunks().iter().zip(&opened.faults).map(|(info, fault)| chunk(info, fault.as_ref())).collect();
    let faults: Vec<_> = opened.faults().map(in_full).collect();
    json!({
        "kind": "kernel_checkpoint",
        "state": if faults.is_empty() { "good" } else { "damaged" },
        "version": reader.version(),
        "checkpoint": reader.kind().to_string(),
        "file_bytes": reader.file_bytes(),
        "state_bytes": reader.state_bytes(),
        "created_us": reader.header().created_at,
        "kernel_id": metadata.kernel_id,
        "kernel_type": metadata.kernel_type,
        "step": metadata.current_step,
        "grid_size": metadata.grid_size,
        "tile_size": metadata.tile_size,
        "clock": { "physical": time.physical, "logical": time.logical, "node": time.node_id },
        "custom": metadata.custom,
        "root": reader.root().map(|root| root.to_string()),
        "contents": opened.contents.as_ref().ok().map(ToString::to_string),
        "chunks": chunks,
        "delta": opened.delta.as_ref().and_then(|info| info.as_ref().ok()).map(delta),
        "chain": opened.chain.as_ref().map(chain),
        "faults": faults,
    })
}

fn chunk(chunk: &ChunkInfo, fault: Option<&CheckpointError>) -> Value {
    json!({
        "type": type_of(chunk),
        "type_number": chunk.label.chunk_type,
        "flags": chunk.label.flags,
        "id": format!("{:016x}", chunk.label.chunk_id),
        "name": chunk.label.name,
        "bytes": chunk.len_bytes,
        "stored_bytes": chunk.stored_bytes,
        "offset": chunk.offset,
        "segments": chunk.segments.len(),
        "compression": chunk.compression().to_string(),
        "digest": chunk.digest().map(|digest| digest.to_string()),
        "state": if fault.is_none() { "good" } else { "damaged" },
        "fault": fault.map(in_full),
    })
}

fn delta(delta: &DeltaInfo) -> Value {
    json!({
        "parent": delta.parent,
        "makes": delta.result.map(|result| result.to_string()),
        "page_bytes": delta.page_bytes,
        "kept": delta.kept,
        "patched": delta.patched,
        "whole": delta.whole,
        "deleted": delta.deleted,
    })
}

fn chain(chain: &Chain) -> Value {
    let link = |link: &Link| {
        json!({
            "file_name": link.file_name,
            "checkpoint": link.kind.to_string(),
            "step": link.step,
            "makes": link.makes,
            "state": if link.fault.is_none() { "good" } else { "damaged" },
            "fault": link.fault.as_ref().map(in_full),
        })
    };
    json!({
        "links": chain.links.iter().map(link).collect::<Vec<_>>(),
        "missing": chain.missing,
    })
}
