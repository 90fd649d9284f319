//! Plain arrays inside of other values, on a volume.

use std::collections::BTreeMap;

use grafos_collections::durable::{Bulk, Durable, DurableError, blocks_needed};
use serde::{Deserialize, Serialize};

use crate::world::World;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Model {
    step: u64,
    names: BTreeMap<String, u32>,
    weights: Bulk<Vec<f32>>,
    positions: Bulk<Vec<[f64; 3]>>,
    tail: String,
}

fn model(step: u64) -> Model {
    Model {
        step,
        names: (0..100).map(|i| (format!("layer {i}"), i)).collect(),
        weights: Bulk((0..1_000_000).map(|i| (i as f32).sqrt() + step as f32).collect()),
        positions: Bulk((0..50_000).map(|i| [f64::from(i), step as f64, -0.0]).collect()),
        tail: "end".to_owned(),
    }
}

#[test]
fn a_model_comes_back() {
    let world = World::new(blocks_needed(6_000_000, 2));
    let mut durable = Durable::new(model(1), world.lease());
    durable.checkpoint().unwrap();
    *durable = model(2);
    durable.checkpoint_in_background().unwrap();
    drop(durable);
    assert_eq!(*Durable::<Model>::restore(world.lease()).unwrap(), model(2));
}

#[test]
fn an_array_is_not_reinterpreted_as_one_of_another_kind() {
    let world = World::new(64);
    Durable::new(Bulk(vec![1.5_f32, 2.5]), world.lease()).checkpoint().unwrap();
    let error = Durable::<Bulk<Vec<u32>>>::restore(world.lease()).unwrap_err();
    assert!(matches!(error, DurableError::Decode { sequence: 1, .. }));
    assert_eq!(Durable::<Bulk<Vec<f32>>>::restore(world.lease()).unwrap().0, [1.5, 2.5]);
}
