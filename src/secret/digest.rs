//! Digests of 32 bytes: as hexadecimal digits, and compared.

use subtle::ConstantTimeEq as _;

/// Lower-case hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| nibble + if nibble < 10 { b'0' } else { b'a' - 10 };
    let mut text = vec![0; bytes.len() * 2];
    for (pair, byte) in text.chunks_exact_mut(2).zip(bytes) {
        pair.copy_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
    }
    String::from_utf8(text).unwrap_or_default()
}

/// The 32 bytes that 64 lower-case hexadecimal digits stand for; `None` for every other text. Every digit is
/// looked at, which is faster than to stop at the first that is wrong.
pub(crate) fn digest_of_hex(text: &str) -> Option<[u8; 32]> {
    let digits = <&[u8; 64]>::try_from(text.as_bytes()).ok()?;
    let (mut bytes, mut strange) = ([0; 32], 0);
    for (byte, pair) in bytes.iter_mut().zip(digits.as_chunks::<2>().0) {
        let [high, low] = pair.map(|digit| match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => u8::MAX,
        });
        strange |= (high | low) >> 4;
        *byte = high << 4 | low & 15;
    }
    (strange == 0).then_some(bytes)
}

/// Whether two hashes are equal, in time that does not depend on them. Word by word: what keeps the compiler from stopping at
/// the first difference costs as much for a byte as for eight.
pub(crate) fn same_digest(left: &[u8; 32], right: &[u8; 32]) -> bool {
    words(left).ct_eq(&words(right)).into()
}

fn words(digest: &[u8; 32]) -> [u64; 4] {
    let mut words = [0; 4];
    for (word, bytes) in words.iter_mut().zip(digest.as_chunks::<8>().0) {
        *word = u64::from_ne_bytes(*bytes);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::same_digest;

    #[test]
    fn digests_that_differ_anywhere_differ() {
        let digest = [7; 32];
        assert!(same_digest(&digest, &digest));
        for bit in 0..256 {
            let mut other = digest;
            other[bit / 8] ^= 1 << (bit % 8);
            assert!(!same_digest(&digest, &other) && !same_digest(&other, &digest), "{bit}");
        }
    }
}
