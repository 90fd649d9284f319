//! The formats of C's `printf`, as kernels use them. Pure: arguments come from a trait, text goes out.
//!
//! Conversions: `d i u x X o c s p f F e E g G a A %`; flags `- + # 0` and space; width and precision, also `*`;
//! lengths `hh h l ll j z t`. An unknown conversion is printed as it stands.

/// Where arguments come from.
pub(super) trait Arguments {
    /// The next one, of 4 or 8 bytes, aligned to its size.
    fn next(&mut self, bytes: u32) -> u64;
    /// The bytes of a string up to its zero, cut where it is too long.
    fn string(&mut self, address: u64) -> Vec<u8>;
}

/// Widths and precisions above this are cut: they come from a kernel.
const MOST: usize = 1024;
/// No call prints more than this.
const TEXT_BYTES: usize = 16 << 10;

/// How a conversion is to look.
#[derive(Debug, Default)]
struct Spec {
    left: bool,
    plus: bool,
    space: bool,
    alternate: bool,
    zero: bool,
    width: usize,
    precision: Option<usize>,
    /// Bytes of an integer argument, as `h`, `l` and the like say.
    bytes: u32,
}

/// The text, and how many arguments it took.
pub(super) fn format(format: &[u8], arguments: &mut dyn Arguments) -> (Vec<u8>, i32) {
    let (mut text, mut count) = (Vec::new(), 0);
    let mut rest = format;
    while let Some((byte, after)) = rest.split_first() {
        if text.len() > TEXT_BYTES {
            break;
        }
        if *byte != b'%' {
            text.push(*byte);
            rest = after;
            continue;
        }
        let mut parser = Parser { rest: after, arguments: &mut *arguments, count: 0 };
        let spec = parser.spec();
        let conversion = parser.take();
        match conversion.and_then(|conversion| parser.convert(&spec, conversion)) {
            Some(field) => text.extend(field),
            None => text.extend_from_slice(&rest[..rest.len() - parser.rest.len()]),
        }
        count += parser.count;
        rest = parser.rest;
    }
    text.truncate(TEXT_BYTES);
    (text, count)
}

struct Parser<'a, 'b> {
    rest: &'a [u8],
    arguments: &'b mut dyn Arguments,
    count: i32,
}

impl Parser<'_, '_> {
    fn take(&mut self) -> Option<u8> {
        let (byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*byte)
    }

    fn take_if(&mut self, wanted: u8) -> bool {
        let is = self.rest.first() == Some(&wanted);
        if is {
            self.rest = &self.rest[1..];
        }
        is
    }

    fn next(&mut self, bytes: u32) -> u64 {
        self.count += 1;
        self.arguments.next(bytes)
    }

    fn spec(&mut self) -> Spec {
        let mut spec = Spec { bytes: 4, ..Spec::default() };
        loop {
            match self.rest.first() {
                Some(b'-') => spec.left = true,
                Some(b'+') => spec.plus = true,
                Some(b' ') => spec.space = true,
                Some(b'#') => spec.alternate = true,
                Some(b'0') => spec.zero = true,
                _ => break,
            }
            self.rest = &self.rest[1..];
        }
        match self.number() {
            Some(width) if width < 0 => {
                spec.left = true;
                spec.width = clamp(width.saturating_neg());
            }
            width => spec.width = clamp(width.unwrap_or(0)),
        }
        if self.take_if(b'.') {
            // A negative precision is none; a lone dot is zero.
            spec.precision = match self.number() {
                Some(precision) if precision < 0 => None,
                precision => Some(clamp(precision.unwrap_or(0))),
            };
        }
        while let Some(length) = self.rest.first() {
            spec.bytes = match length {
                b'h' if spec.bytes == 2 => 1,
                b'h' => 2,
                b'l' | b'j' | b'z' | b't' | b'q' | b'L' => 8,
                _ => break,
            };
            self.rest = &self.rest[1..];
        }
        spec
    }

    /// Digits, or the next argument for `*`.
    fn number(&mut self) -> Option<i64> {
        if self.take_if(b'*') {
            return Some(signed(self.next(4), 4));
        }
        let digits = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (number, rest) = self.rest.split_at(digits);
        self.rest = rest;
        let value = |value: i64, digit: &u8| (value * 10 + i64::from(digit - b'0')).min(1 << 32);
        (digits > 0).then(|| number.iter().fold(0, value))
    }

    fn convert(&mut self, spec: &Spec, conversion: u8) -> Option<Vec<u8>> {
        let argument_bytes = spec.bytes.max(4);
        Some(match conversion {
            b'%' => vec![b'%'],
            b'd' | b'i' => {
                let value = signed(self.next(argument_bytes), spec.bytes);
                spec.integer(sign(spec, value < 0), "", value.unsigned_abs().to_string())
            }
            b'u' => {
                let value = unsigned(self.next(argument_bytes), spec.bytes);
                spec.integer("", "", value.to_string())
            }
            b'x' | b'X' | b'o' => {
                let value = unsigned(self.next(argument_bytes), spec.bytes);
                let (prefix, mut digits) = match conversion {
                    b'x' => ("0x", format!("{value:x}")),
                    b'X' => ("0X", format!("{value:X}")),
                    _ => ("", format!("{value:o}")),
                };
                if conversion == b'o' && spec.alternate && value != 0 {
                    digits.insert(0, '0');
                }
                spec.integer("", if spec.alternate && value != 0 { prefix } else { "" }, digits)
            }
            b'p' => {
                let value = self.next(8);
                spec.padded("", format!("0x{value:x}").into_bytes(), false)
            }
            b'c' => {
                let [byte, ..] = self.next(4).to_le_bytes();
                spec.padded("", vec![byte], false)
            }
            b's' => {
                let address = self.next(8);
                let mut text = if address == 0 { b"(null)".to_vec() } else { self.arguments.string(address) };
                text.truncate(spec.precision.unwrap_or(usize::MAX));
                spec.padded("", text, false)
            }
            b'f' | b'F' | b'e' | b'E' | b'g' | b'G' | b'a' | b'A' => {
                let value = f64::from_bits(self.next(8));
                spec.float(value, conversion)
            }
            _ => return None,
        })
    }
}

impl Spec {
    fn integer(&self, sign: &str, prefix: &str, mut digits: String) -> Vec<u8> {
        if let Some(precision) = self.precision {
            if precision == 0 && digits == "0" {
                digits.clear();
            }
            digits.insert_str(0, &"0".repeat(precision.saturating_sub(digits.len())));
        }
        // A precision switches padding by zeros off.
        self.padded(&format!("{sign}{prefix}"), digits.into_bytes(), self.precision.is_none())
    }

    fn float(&self, value: f64, conversion: u8) -> Vec<u8> {
        let sign = sign(self, value.is_sign_negative());
        let upper = conversion.is_ascii_uppercase();
        let magnitude = value.abs();
        let (prefix, mut digits) = if !value.is_finite() {
            ("", if value.is_nan() { "nan" } else { "inf" }.to_owned())
        } else {
            match conversion.to_ascii_lowercase() {
                b'f' => ("", fixed(magnitude, self.precision.unwrap_or(6), self.alternate)),
                b'e' => ("", scientific(magnitude, self.precision.unwrap_or(6), self.alternate)),
                b'g' => ("", general(magnitude, self.precision.unwrap_or(6).max(1), self.alternate)),
                _ => ("0x", hexadecimal(magnitude, self.precision, self.alternate)),
            }
        };
        let mut head = format!("{sign}{prefix}");
        if upper {
            (digits, head) = (digits.to_ascii_uppercase(), head.to_ascii_uppercase());
        }
        self.padded(&head, digits.into_bytes(), value.is_finite())
    }

    /// Up to the width: with zeros behind the head where allowed and wanted, else with spaces.
    fn padded(&self, head: &str, body: Vec<u8>, zeros: bool) -> Vec<u8> {
        let missing = self.width.saturating_sub(head.len() + body.len());
        let (mut before, mut between, mut after) = (0, 0, 0);
        match (self.left, self.zero && zeros) {
            (true, _) => after = missing,
            (false, true) => between = missing,
            (false, false) => before = missing,
        }
        let mut field = vec![b' '; before];
        field.extend_from_slice(head.as_bytes());
        field.resize(field.len() + between, b'0');
        field.extend(body);
        field.resize(field.len() + after, b' ');
        field
    }
}

fn clamp(value: i64) -> usize {
    usize::try_from(value).unwrap_or(0).min(MOST)
}

fn sign(spec: &Spec, is_negative: bool) -> &'static str {
    match (is_negative, spec.plus, spec.space) {
        (true, ..) => "-",
        (false, true, _) => "+",
        (false, false, true) => " ",
        (false, false, false) => "",
    }
}

fn unsigned(value: u64, bytes: u32) -> u64 {
    value & u64::MAX >> (64 - 8 * bytes)
}

fn signed(value: u64, bytes: u32) -> i64 {
    let unused = 64 - 8 * bytes;
    (value << unused).cast_signed() >> unused
}

fn fixed(value: f64, precision: usize, point: bool) -> String {
    let dot = if point && precision == 0 { "." } else { "" };
    format!("{value:.precision$}{dot}")
}

/// Rust writes `1e2` where C writes `1e+02`.
fn scientific(value: f64, precision: usize, point: bool) -> String {
    let text = format!("{value:.precision$e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, exponent) = match exponent.strip_prefix('-') {
        Some(exponent) => ('-', exponent),
        None => ('+', exponent),
    };
    let dot = if point && precision == 0 { "." } else { "" };
    format!("{digits}{dot}e{sign}{exponent:0>2}")
}

fn general(value: f64, precision: usize, keep_zeros: bool) -> String {
    let rounded = format!("{value:.*e}", precision - 1);
    let exponent: i32 = rounded.split_once('e').and_then(|(_, e)| e.parse().ok()).unwrap_or(0);
    let most = i32::try_from(precision).unwrap_or(i32::MAX);
    if (-4..most).contains(&exponent) {
        let digits = usize::try_from(most - 1 - exponent).unwrap_or(0);
        without_zeros(fixed(value, digits, keep_zeros), keep_zeros)
    } else {
        let text = scientific(value, precision - 1, keep_zeros);
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "+00"));
        format!("{}e{exponent}", without_zeros(digits.to_owned(), keep_zeros))
    }
}

fn without_zeros(text: String, keep: bool) -> String {
    if keep || !text.contains('.') {
        return text;
    }
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// `1.8p+1`: one digit, the fraction's bits four by four, the power of two.
fn hexadecimal(value: f64, precision: Option<usize>, point: bool) -> String {
    let bits = value.to_bits();
    let (fraction, exponent) = (bits & ((1 << 52) - 1), bits >> 52);
    let (mut mantissa, mut power) = match (exponent, fraction) {
        (0, 0) => (0, 0),
        (0, _) => (fraction, -1022),
        _ => (fraction | 1 << 52, i64::try_from(exponent).unwrap_or(0) - 1023),
    };
    if let Some(kept) = precision.filter(|kept| *kept < 13) {
        // To the nearest, ties to even.
        let dropped = 4 * (13 - kept);
        let (half, rest) = (1 << (dropped - 1), mantissa & ((1 << dropped) - 1));
        mantissa >>= dropped;
        if rest > half || rest == half && mantissa & 1 == 1 {
            mantissa += 1;
        }
        mantissa <<= dropped;
    }
    if mantissa >> 53 != 0 {
        mantissa >>= 1;
        power += 1;
    }
    let mut digits = format!("{:013x}", mantissa & ((1 << 52) - 1));
    match precision {
        None => digits.truncate(digits.trim_end_matches('0').len()),
        Some(precision) if precision <= 13 => digits.truncate(precision),
        Some(precision) => digits.push_str(&"0".repeat(precision - 13)),
    }
    let dot = if digits.is_empty() && !point { "" } else { "." };
    format!("{}{dot}{digits}p{power:+}", mantissa >> 52)
}
