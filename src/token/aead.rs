//! The two content encryptions of RFC 7518 that NextAuth uses, composed of RustCrypto's primitives.

use aes_gcm::aead::{Aead as _, Payload};
use aes_gcm::{Aes256Gcm, KeyInit as _, Nonce};
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt as _, BlockModeEncrypt as _, KeyIvInit as _};
use hmac::{Hmac, Mac as _};
use sha2::Sha512;
use subtle::ConstantTimeEq as _;

use super::Cause;

/// Bytes of A256GCM's nonce (RFC 7518 section 5.3).
pub const GCM_NONCE: usize = 12;
/// Bytes of A256GCM's tag.
pub const GCM_TAG: usize = 16;
/// Bytes of A256CBC-HS512's initialisation vector.
pub const CBC_IV: usize = 16;
/// Bytes of A256CBC-HS512's tag: half of HMAC-SHA-512 (RFC 7518 section 5.2.5).
pub const CBC_TAG: usize = 32;

/// A sealed text: initialisation vector, ciphertext, tag.
pub type Sealed = (Vec<u8>, Vec<u8>, Vec<u8>);

/// Opens A256GCM. Nothing of the plaintext is returned unless the tag is right.
///
/// # Errors
/// One cause for a wrong key, nonce, tag or text.
pub fn open_gcm(key: &[u8; 32], nonce: &[u8], aad: &[u8], text: &[u8], tag: &[u8]) -> Result<Vec<u8>, Cause> {
    let nonce = <[u8; GCM_NONCE]>::try_from(nonce).map_err(|_| Cause::Malformed)?;
    if tag.len() != GCM_TAG {
        return Err(Cause::Malformed);
    }
    let sealed = [text, tag].concat();
    let cipher = Aes256Gcm::new(key.into());
    cipher.decrypt(&Nonce::from(nonce), Payload { msg: &sealed, aad }).map_err(|_| Cause::Signature)
}

/// Seals by A256GCM under a nonce that was never used with this key.
///
/// # Errors
/// Only for a text beyond AES-GCM's 64 GiB.
pub fn seal_gcm(key: &[u8; 32], nonce: [u8; GCM_NONCE], aad: &[u8], text: &[u8]) -> Result<Sealed, Cause> {
    let cipher = Aes256Gcm::new(key.into());
    let mut sealed =
        cipher.encrypt(&Nonce::from(nonce), Payload { msg: text, aad }).map_err(|_| Cause::Malformed)?;
    let tag = sealed.split_off(sealed.len().saturating_sub(GCM_TAG));
    Ok((nonce.to_vec(), sealed, tag))
}

/// Opens A256CBC-HS512: the tag is checked first, in constant time, and bad padding is the same cause as a bad tag, so
/// that nobody can ask about the padding (RFC 7518 section 5.2.2.2).
///
/// # Errors
/// One cause for a wrong key, vector, tag or text.
pub fn open_cbc(key: &[u8; 64], iv: &[u8], aad: &[u8], text: &[u8], tag: &[u8]) -> Result<Vec<u8>, Cause> {
    if iv.len() != CBC_IV || tag.len() != CBC_TAG {
        return Err(Cause::Malformed);
    }
    let (mac_key, cipher_key) = key.split_at(32);
    let expected = cbc_tag(mac_key, aad, iv, text)?;
    if !bool::from(expected.ct_eq(tag)) {
        return Err(Cause::Signature);
    }
    let cipher =
        cbc::Decryptor::<aes::Aes256>::new_from_slices(cipher_key, iv).map_err(|_| Cause::Signature)?;
    cipher.decrypt_padded_vec::<Pkcs7>(text).map_err(|_| Cause::Signature)
}

/// Seals by A256CBC-HS512 under a random initialisation vector.
///
/// # Errors
/// Never for keys and vectors of these lengths.
pub fn seal_cbc(key: &[u8; 64], iv: [u8; CBC_IV], aad: &[u8], text: &[u8]) -> Result<Sealed, Cause> {
    let (mac_key, cipher_key) = key.split_at(32);
    let cipher = cbc::Encryptor::<aes::Aes256>::new_from_slices(cipher_key, &iv).map_err(|_| Cause::Key)?;
    let sealed = cipher.encrypt_padded_vec::<Pkcs7>(text);
    let tag = cbc_tag(mac_key, aad, &iv, &sealed)?;
    Ok((iv.to_vec(), sealed, tag))
}

/// The first half of HMAC-SHA-512 over the associated data, the vector, the ciphertext and the associated data's
/// length in bits as 64 bits, big-endian.
fn cbc_tag(mac_key: &[u8], aad: &[u8], iv: &[u8], text: &[u8]) -> Result<Vec<u8>, Cause> {
    let bits = (aad.len() as u64).saturating_mul(8).to_be_bytes();
    let mac = Hmac::<Sha512>::new_from_slice(mac_key).map_err(|_| Cause::Key)?;
    let mac = mac.chain_update(aad).chain_update(iv).chain_update(text).chain_update(bits);
    Ok(mac.finalize().into_bytes().iter().take(CBC_TAG).copied().collect())
}
