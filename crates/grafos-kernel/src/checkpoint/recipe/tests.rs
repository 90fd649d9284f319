//! Recipes that are none: each refused with the number that is wrong.

use super::*;
use crate::checkpoint::ChunkType;

fn recipe(steps: Vec<Step>) -> Recipe {
    Recipe { page_bytes: 512, parent_chunks: 3, result: Digest([7; 32]), steps }
}

fn refused(bytes: &[u8]) -> &'static str {
    match Recipe::parse(bytes) {
        Err(CheckpointError::MalformedDelta { field, chunk: 0, .. }) => field,
        other => panic!("{other:?}"),
    }
}

fn chunk(flags: u32) -> DataChunk {
    let mut chunk = DataChunk::new(ChunkType::Custom, vec![]);
    chunk.header.flags = flags;
    chunk
}

#[test]
fn a_recipe_is_read_as_it_was_written() {
    let steps = vec![Step::Pages { parent: 2 }, Step::Whole { parent: None }, Step::Keep { parent: 0 }];
    let recipe = recipe(steps);
    assert_eq!(Recipe::parse(&recipe.to_bytes()).unwrap(), recipe);
    assert_eq!(recipe.deleted(), 1);
}

#[test]
fn a_chunk_of_the_parent_is_named_once() {
    let twice = recipe(vec![Step::Keep { parent: 1 }, Step::Pages { parent: 1 }]);
    assert_eq!(refused(&twice.to_bytes()), "times a chunk of the parent is named");
    let replaced = recipe(vec![Step::Whole { parent: Some(1) }, Step::Keep { parent: 1 }]);
    assert_eq!(refused(&replaced.to_bytes()), "times a chunk of the parent is named");
    let new = recipe(vec![Step::Whole { parent: None }, Step::Whole { parent: None }]);
    assert!(Recipe::parse(&new.to_bytes()).is_ok());
}

#[test]
fn a_number_out_of_range_is_refused() {
    assert_eq!(refused(&recipe(vec![Step::Keep { parent: 3 }]).to_bytes()), "chunk of the parent");
    let good = recipe(vec![Step::Keep { parent: 0 }]).to_bytes();
    let with = |at: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[at] = value;
        bytes
    };
    assert_eq!(refused(&with(0, 2)), "version of the recipe");
    assert_eq!(refused(&with(4, 1)), "page size");
    assert_eq!(refused(&with(5, 1)), "page size");
    assert_eq!(refused(&with(12, 2)), "bytes of the recipe's steps");
    assert_eq!(refused(&with(48, 3)), "how a chunk is made");
    for len in 0..48 {
        let cut = Recipe::parse(&good[..len]);
        assert!(matches!(cut, Err(CheckpointError::Truncated { .. })), "{len}: {cut:?}");
    }
}

#[test]
fn each_chunk_of_the_delta_is_taken_once_as_what_it_is() {
    let recipe =
        recipe(vec![Step::Whole { parent: None }, Step::Keep { parent: 1 }, Step::Pages { parent: 0 }]);
    let [first, whole, pages] = [chunk(1 << 30), chunk(0), chunk(FLAG_PAGES)];
    let assigned = recipe.assign(&[first.clone(), whole.clone(), pages.clone()]).unwrap();
    assert_eq!(assigned, [Some(1), None, Some(2)]);
    for chunks in [
        vec![first.clone(), whole.clone()],
        vec![first.clone(), pages.clone(), whole.clone()],
        vec![first.clone(), whole.clone(), first.clone()],
        vec![first, whole.clone(), pages, whole],
    ] {
        assert!(matches!(recipe.assign(&chunks), Err(CheckpointError::MalformedDelta { .. })), "{chunks:?}");
    }
}
