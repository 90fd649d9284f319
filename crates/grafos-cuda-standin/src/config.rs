//! [`Config`]: what the pretended machine has, by environment.

use std::env;
use std::str::FromStr;
use std::sync::OnceLock;

/// The pretended machine.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) devices: i32,
    pub(crate) name: String,
    pub(crate) memory_bytes: u64,
    pub(crate) version: i32,
    pub(crate) compute_mode: i32,
    pub(crate) instructions: Option<u64>,
    pub(crate) faults_hit_the_process: bool,
}

impl Config {
    /// As the environment said at the first call.
    pub(crate) fn read() -> &'static Self {
        static CONFIG: OnceLock<Config> = OnceLock::new();
        CONFIG.get_or_init(|| Self {
            devices: variable("DEVICES").unwrap_or(1),
            name: variable("NAME").unwrap_or_else(|| "Grafos stand-in device".to_owned()),
            memory_bytes: variable("MEMORY").unwrap_or(4 << 30),
            version: variable("VERSION").unwrap_or(13_000),
            compute_mode: variable("COMPUTE_MODE").unwrap_or(0),
            instructions: variable("INSTRUCTIONS"),
            faults_hit_the_process: variable::<String>("FAULT_SCOPE").as_deref() == Some("process"),
        })
    }

    /// The value of a device attribute, by its number in `cuda.h`. `None` for those that nobody asks for here.
    pub(crate) fn device_attribute(&self, attribute: i32) -> Option<i32> {
        Some(match attribute {
            1..=3 => 1024,   // threads per block, block x and y
            4 => 64,         // block z
            5 => i32::MAX,   // grid x
            6 | 7 => 65_535, // grid y and z
            8 => 48 << 10,   // shared memory per block
            9 => 64 << 10,   // constant memory
            10 => 32,        // warp size
            16 => 4,         // multiprocessors
            18 | 32 => 0,    // integrated, ECC
            19 | 41 => 1,    // maps host memory, unified addressing
            20 => self.compute_mode,
            33 | 34 | 50 => 0, // bus, device and domain on PCI
            40 => 2,           // copy engines
            75 => 9,           // compute capability 9.0
            76 => 0,
            97 => 64 << 10, // shared memory per block when asked for
            _ => return None,
        })
    }
}

/// `GRAFOS_STANDIN_<name>`, if it is set and makes sense.
pub(crate) fn variable<T: FromStr>(name: &str) -> Option<T> {
    env::var(format!("GRAFOS_STANDIN_{name}")).ok()?.parse().ok()
}
