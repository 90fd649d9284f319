//! [`Shuffle`]: which images the next batch takes.
//!
//! The images to train with are dealt in passes, each in a new order. A batch takes the next ones; the last batch of a
//! pass takes what is left and goes on with the next pass, so all batches have the same size, and after p passes each
//! image was used exactly p times. Invariant: seed and number of examples dealt decide what comes next.

use super::digits::Digits;
use super::generator::Generator;

/// Mixed into the seed: the first weights and the orders are drawn from streams of their own.
const STREAM: u64 = 0x6f72_6465_725f_3532;

/// Where a training is in its images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shuffle {
    /// As it was before the order of this pass was drawn.
    before: Generator,
    /// As it is now.
    generator: Generator,
    /// How many passes are complete.
    pass: u64,
    /// How many images of this pass are dealt; never all of them.
    place: u32,
    order: Vec<u32>,
}

impl Shuffle {
    pub(super) fn new(seed: u64) -> Self {
        Self::restore(Generator::new(seed ^ STREAM).next(), 0, 0)
    }

    /// As it was when it had this generator, pass and place. The place is below the number of images.
    pub(super) fn restore(generator_state: u64, pass: u64, place: u32) -> Self {
        let before = Generator::new(generator_state);
        let mut shuffle = Self { before, generator: before, pass, place, order: Vec::new() };
        shuffle.draw();
        shuffle
    }

    /// The state of the generator before the order of this pass was drawn.
    pub(super) fn generator_state(&self) -> u64 {
        self.before.state()
    }

    pub(super) fn pass(&self) -> u64 {
        self.pass
    }

    pub(super) fn place(&self) -> u32 {
        self.place
    }

    /// The order of this pass: Fisher and Yates, as Durstenfeld wrote it (Algorithm 235, 1964).
    fn draw(&mut self) {
        self.before = self.generator;
        self.order.clear();
        self.order.extend(0..Digits::TRAINING_LEN);
        for last in (1..Digits::TRAINING_LEN).rev() {
            let other = self.generator.below(last + 1);
            self.order.swap(last as usize, other as usize);
        }
    }

    /// Deals the next `count` images, by their index.
    pub(super) fn deal(&mut self, count: u32, into: &mut Vec<u32>) {
        into.clear();
        for _ in 0..count {
            into.extend(self.order.get(self.place as usize));
            self.place += 1;
            if self.place == Digits::TRAINING_LEN {
                (self.place, self.pass) = (0, self.pass + 1);
                self.draw();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dealt(shuffle: &mut Shuffle, count: u32) -> Vec<u32> {
        let mut batch = Vec::new();
        shuffle.deal(count, &mut batch);
        batch
    }

    #[test]
    fn each_pass_deals_every_image_once_in_an_order_of_its_own_whatever_the_batch() {
        let mut whole = Shuffle::new(1);
        let mut cut = Shuffle::new(1);
        let passes: Vec<Vec<u32>> = (0..3).map(|_| dealt(&mut whole, 1437)).collect();
        for pass in &passes {
            let mut sorted = pass.clone();
            sorted.sort_unstable();
            assert!(sorted.into_iter().eq(0..1437));
        }
        assert!(passes[0] != passes[1] && passes[1] != passes[2]);
        let in_batches: Vec<u32> = (0..3 * 1437 / 9).flat_map(|_| dealt(&mut cut, 9)).collect();
        assert_eq!(in_batches, passes.concat());
        assert_eq!(cut, whole);
        assert_eq!((cut.pass(), cut.place()), (3, 0));
        assert_ne!(dealt(&mut Shuffle::new(2), 1437), passes[0]);
    }

    #[test]
    fn a_restored_shuffle_goes_on_from_any_place() {
        let mut shuffle = Shuffle::new(7);
        for count in [0, 1, 1435, 1, 32, 1404, 1, 3000] {
            dealt(&mut shuffle, count);
            let mut again = Shuffle::restore(shuffle.generator_state(), shuffle.pass(), shuffle.place());
            assert_eq!(again, shuffle);
            assert_eq!(dealt(&mut again, 2000), dealt(&mut shuffle.clone(), 2000));
        }
    }
}
