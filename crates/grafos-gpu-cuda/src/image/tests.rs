//! Tests of [`Image`]: whole images pass, cut ones don't, and no bytes make it panic.

use super::*;

/// A file with one section of ten bytes behind the header, and the section table at the end.
fn elf() -> Vec<u8> {
    let mut bytes = vec![0; 64 + 10 + 6 + 64];
    bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
    bytes[40..48].copy_from_slice(&80_u64.to_le_bytes()); // the section table
    bytes[58..60].copy_from_slice(&64_u16.to_le_bytes());
    bytes[60..62].copy_from_slice(&1_u16.to_le_bytes());
    bytes[80 + 4..80 + 8].copy_from_slice(&1_u32.to_le_bytes());
    bytes[80 + 24..80 + 32].copy_from_slice(&64_u64.to_le_bytes());
    bytes[80 + 32..80 + 40].copy_from_slice(&10_u64.to_le_bytes());
    bytes
}

#[test]
fn a_text_ends_with_exactly_one_nul() {
    for text in [&b".version 7.0"[..], b".version 7.0\0"] {
        let image = Image::new(text).unwrap();
        assert_eq!(image.bytes(), b".version 7.0\0");
        assert_eq!(image.text(), Some(&b".version 7.0"[..]));
    }
    assert_eq!(Image::new(b"").unwrap().bytes(), b"\0");
}

#[test]
fn a_nul_inside_a_text_is_refused() {
    assert_eq!(Image::new(b"ab\0cd").unwrap_err(), BadImage::NulInText { offset: 2 });
    assert_eq!(Image::new(b"ab\0\0").unwrap_err(), BadImage::NulInText { offset: 2 });
}

#[test]
fn a_whole_elf_file_passes_and_every_shorter_one_is_refused() {
    let whole = elf();
    let image = Image::new(&whole).unwrap();
    assert_eq!((image.bytes(), image.text()), (&whole[..], None));
    for len in 4..whole.len() {
        let refused = Image::new(&whole[..len]).unwrap_err();
        let is_right =
            matches!(refused, BadImage::Truncated { .. }) || len < 6 && refused == BadImage::NotForDevices;
        assert!(is_right, "{len}: {refused}");
    }
}

#[test]
fn a_section_past_the_end_is_refused_unless_it_takes_no_bytes() {
    let mut bytes = elf();
    bytes[80 + 32..80 + 40].copy_from_slice(&1000_u64.to_le_bytes());
    assert_eq!(Image::new(&bytes).unwrap_err(), BadImage::Truncated { expected: 1064, found: 144 });
    bytes[80 + 4..80 + 8].copy_from_slice(&8_u32.to_le_bytes());
    assert!(Image::new(&bytes).is_ok());
}

#[test]
fn numbers_that_overflow_are_refused_and_do_not_panic() {
    for at in [32, 40, 54, 56, 58, 60, 80 + 24, 80 + 32] {
        let mut bytes = elf();
        bytes[at..at + 2].fill(0xFF);
        if !(54..80).contains(&at) {
            bytes[at..at + 8].fill(0xFF);
        }
        if at == 32 {
            bytes[56..58].fill(1);
        }
        // The size of program headers does not matter where there are none.
        let refused = Image::new(&bytes);
        assert!(at == 54 || refused.is_err(), "{at}: {refused:?}");
    }
}

#[test]
fn an_elf_file_of_another_kind_is_refused() {
    let mut bytes = elf();
    bytes[4] = 1;
    assert_eq!(Image::new(&bytes).unwrap_err(), BadImage::NotForDevices);
}

#[test]
fn a_fat_binary_is_as_long_as_it_says() {
    let mut bytes = FAT_MAGIC.to_vec();
    bytes.extend_from_slice(&1_u16.to_le_bytes());
    bytes.extend_from_slice(&16_u16.to_le_bytes());
    bytes.extend_from_slice(&8_u64.to_le_bytes());
    bytes.extend_from_slice(&[0; 8]);
    assert!(Image::new(&bytes).is_ok());
    assert_eq!(
        Image::new(&bytes[..bytes.len() - 1]).unwrap_err(),
        BadImage::Truncated { expected: 24, found: 23 }
    );
    for len in 4..16 {
        assert!(Image::new(&bytes[..len]).is_err());
    }
}
