//! The reference against the definition: the loss in `f64` with the functions of the system, and its slope.

use super::*;

const PLAN: TrainingPlan =
    TrainingPlan { seed: 3, batch_len: 8, steps: 1000, learning_rate: 1e-2, hidden: [12, 7] };

/// The mean loss of a batch in `f64`, with the functions of the system: nothing of the code above.
fn mean_loss(digits: &Digits, parameters: &[f64], batch: &[u32]) -> f64 {
    let loss = |image: &u32| {
        let mut values: Vec<f64> =
            digits.image(*image as usize).iter().map(|pixel| f64::from(*pixel) / 16.0).collect();
        let mut rest = parameters;
        for (number, (inputs, outputs)) in PLAN.layers().into_iter().enumerate() {
            let (layer, others) = rest.split_at((inputs + 1) * outputs);
            let sum = |output: usize| {
                let products = (0..inputs).map(|input| values[input] * layer[input * outputs + output]);
                products.sum::<f64>() + layer[inputs * outputs + output]
            };
            let sums = (0..outputs).map(sum);
            values = if number < 2 { sums.map(|sum| sum.max(0.0)).collect() } else { sums.collect() };
            rest = others;
        }
        let total: f64 = values.iter().map(|value| value.exp()).sum();
        total.ln() - values[usize::from(digits.label(*image as usize).unwrap())]
    };
    batch.iter().map(loss).sum::<f64>() / batch.len() as f64
}

#[test]
fn the_gradient_is_the_slope_of_the_loss() {
    let digits = Digits::load().unwrap();
    let mut reference = Reference::new(&digits, &PLAN, TrainingState::initial(&PLAN)).unwrap();
    // Away from the first weights, where all biases are alike.
    (0..20).for_each(|_| {
        reference.step();
    });
    let batch: Vec<u32> = (100..108).collect();
    let (outcomes, gradient) = reference.gradient(&batch);
    let parameters: Vec<f64> = reference.state.model.parameters.iter().copied().map(f64::from).collect();
    let loss = mean_loss(&digits, &parameters, &batch);
    assert!((f64::from(outcomes.loss) / 8.0 - loss).abs() < 1e-5, "{} {loss}", outcomes.loss);
    let mut greatest = 0.0_f64;
    for (at, found) in gradient.iter().enumerate() {
        let beside = |by: f64| {
            let mut moved = parameters.clone();
            moved[at] += by;
            mean_loss(&digits, &moved, &batch)
        };
        let slope = (beside(1e-6) - beside(-1e-6)) / 2e-6;
        assert!(
            (f64::from(*found) - slope).abs() < 2e-6 + 1e-4 * slope.abs(),
            "{at}: {found} is not {slope}"
        );
        greatest = greatest.max(slope.abs());
    }
    assert!(greatest > 0.05, "there is something to compare: {greatest}");
}

#[test]
fn it_learns_the_digits() {
    let digits = Digits::load().unwrap();
    let plan = TrainingPlan { batch_len: 16, learning_rate: 4e-3, hidden: [32, 16], ..PLAN };
    let mut reference = Reference::new(&digits, &plan, TrainingState::initial(&plan)).unwrap();
    let first = reference.step().loss;
    assert!((1.9..3.2).contains(&first), "about ln 10: {first}");
    assert!(reference.test_accuracy() < 0.4);
    let last = (0..899).map(|_| reference.step().loss).last().unwrap();
    assert!(last < 0.3, "{last}");
    assert!(reference.test_accuracy() > 0.94, "{}", reference.test_accuracy());
    assert_eq!(reference.state().passes(), 900 * 16 / 1437);
}
