//! A checkpoint as people read it. Whatever a file has as text is escaped: a terminal must not obey it.

use grafos_kernel::checkpoint::{
    CHECKPOINT_VERSION_1, CheckpointError, CheckpointHeader, CheckpointMetadata, ChunkInfo, DeltaInfo,
};

use super::chain::Chain;
use super::{Closed, Opened};
use crate::table::Table;
use crate::words;

/// So many characters of a text are shown; JSON has all of it.
const MOST_SHOWN: usize = 120;
/// And so many of the values that the application has put in.
const MOST_VALUES: usize = 32;

pub(super) fn closed(closed: &Closed) -> Vec<String> {
    let Closed { file_bytes, header, fault } = closed;
    let mut lines = vec![format!("kernel checkpoint, {}, damaged", words::bytes(*file_bytes))];
    if let Some(header) = header {
        lines.push(format!("its header claims: version {}, {}", header.version, made(header)));
    }
    lines.push(format!("damaged: {}", in_full(fault)));
    lines
}

pub(super) fn opened(opened: &Opened) -> Vec<String> {
    let reader = &opened.reader;
    let version = reader.version();
    let mut lines = vec![format!(
        "kernel checkpoint, version {version}, {}, {} of state in {}",
        reader.kind(),
        words::bytes(reader.state_bytes()),
        words::bytes(reader.file_bytes()),
    )];
    lines.extend(metadata(reader.metadata()));
    lines.push(made(reader.header()));
    if let Some(root) = reader.root() {
        lines.push(format!("root: {root}"));
    }
    if let Ok(contents) = &opened.contents {
        lines.push(format!("contents: {contents}"));
    }
    lines.extend(opened.delta.as_ref().and_then(|delta| delta.as_ref().ok()).into_iter().flat_map(delta));
    lines.extend(chunks(opened));
    lines.extend(opened.chain.as_ref().into_iter().flat_map(chain));
    let faults: Vec<_> = opened.faults().map(|fault| format!("damaged: {}", in_full(fault))).collect();
    match (faults.is_empty(), version) {
        (true, CHECKPOINT_VERSION_1) => {
            lines.push("the checksum of the file fits: version 1 has no other".to_owned());
        }
        (true, _) => lines.push("every byte verifies".to_owned()),
        (false, _) => lines.extend(faults),
    }
    lines
}

fn metadata(metadata: &CheckpointMetadata) -> Vec<String> {
    let CheckpointMetadata {
        kernel_id,
        kernel_type,
        current_step,
        grid_size,
        tile_size,
        hlc_timestamp,
        custom,
    } = metadata;
    let sizes = |(x, y, z): (u32, u32, u32)| format!("{x} × {y} × {z}");
    let mut lines = vec![
        format!("kernel: {}, {}, step {current_step}", shown(kernel_id), shown(kernel_type)),
        format!("grid: {}, tiles: {}", sizes(*grid_size), sizes(*tile_size)),
        format!(
            "kernel's clock: {}, logical={}, node={}",
            words::unix_ms(hlc_timestamp.as_millis()),
            hlc_timestamp.logical,
            hlc_timestamp.node_id
        ),
    ];
    let mut values: Vec<_> = custom.iter().collect();
    values.sort_unstable();
    lines.extend(
        values.iter().take(MOST_VALUES).map(|(key, value)| format!("{}: {}", shown(key), shown(value))),
    );
    if values.len() > MOST_VALUES {
        lines.push(format!("{} more values", values.len() - MOST_VALUES));
    }
    lines
}

fn made(header: &CheckpointHeader) -> String {
    format!("made: {}", words::unix_ms(header.created_at / 1000))
}

fn delta(delta: &DeltaInfo) -> Vec<String> {
    let DeltaInfo { parent, result, page_bytes, kept, patched, whole, deleted, .. } = delta;
    let mut lines = vec![format!("parent: {}", shown(parent))];
    if let Some(result) = result {
        lines.push(format!("makes: {result}"));
        lines.push(format!(
            "chunks: {kept} kept, {patched} changed in pages of {}, {whole} whole, {deleted} deleted",
            words::bytes(u64::from(*page_bytes))
        ));
    }
    lines
}

fn chunks(opened: &Opened) -> Vec<String> {
    let mut table = Table::new(&[
        ">chunk",
        "type",
        "name",
        "id",
        ">size",
        ">stored",
        "compression",
        ">offset",
        "digest",
        "state",
    ]);
    for (index, (chunk, fault)) in opened.reader.chunks().iter().zip(&opened.faults).enumerate() {
        table.row(row(index, chunk, fault.as_ref()));
    }
    table.lines()
}

fn row(index: usize, chunk: &ChunkInfo, fault: Option<&CheckpointError>) -> Vec<String> {
    vec![
        index.to_string(),
        type_of(chunk),
        chunk.label.name.as_deref().map_or_else(String::new, shown),
        format!("{:x}", chunk.label.chunk_id),
        words::bytes(chunk.len_bytes),
        words::bytes(chunk.stored_bytes),
        chunk.compression().to_string(),
        chunk.offset.to_string(),
        chunk.digest().map_or_else(String::new, |digest| words::short_hex(&digest.0)),
        if fault.is_none() { "good" } else { "damaged" }.to_owned(),
    ]
}

/// What the chunk is, and of a delta, how.
pub(super) fn type_of(chunk: &ChunkInfo) -> String {
    let label = &chunk.label;
    let name = label.kind().map_or_else(|| label.chunk_type.to_string(), |kind| format!("{kind:?}"));
    match (label.is_recipe(), label.is_pages()) {
        (true, _) => "recipe of the delta".to_owned(),
        (_, true) => format!("{name}, pages"),
        _ => name,
    }
}

fn chain(chain: &Chain) -> Vec<String> {
    let mut table = Table::new(&["built on", "kind", ">step", "makes", "state"]);
    for link in &chain.links {
        let state = match &link.fault {
            None => "good".to_owned(),
            Some(fault) => format!("damaged: {}", in_full(fault)),
        };
        let makes = link.makes.chars().take(16).collect();
        let name = shown(&link.file_name);
        table.row(vec![name, link.kind.to_string(), link.step.to_string(), makes, state]);
    }
    let mut lines = if chain.links.is_empty() { Vec::new() } else { table.lines() };
    lines.extend(chain.missing.as_ref().map(|digest| {
        format!("it can't be restored from here: no checkpoint beside it makes {}", shown(digest))
    }));
    lines
}

/// The error and its causes. Some of them quote the file.
pub(in crate::inspect) fn in_full(error: &CheckpointError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    let escaped = |letter: char| letter.is_control().then(|| letter.escape_debug().to_string());
    text.chars().map(|letter| escaped(letter).unwrap_or_else(|| letter.to_string())).collect()
}

fn shown(text: &str) -> String {
    let shown: String = text.escape_debug().take(MOST_SHOWN).collect();
    if text.escape_debug().nth(MOST_SHOWN).is_some() { shown + "…" } else { shown }
}
