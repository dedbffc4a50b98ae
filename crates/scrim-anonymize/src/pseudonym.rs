//! `pseudonymize`: keyed tokens.
//!
//! A token is the beginning of HMAC-SHA-256 over a tag and the value. The key's two blocks are
//! compressed once; after that a short value costs two compressions and no allocation.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryViewBuilder, FixedSizeBinaryArray, GenericBinaryArray,
    GenericStringArray, OffsetSizeTrait, PrimitiveArray, StringViewBuilder,
};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer};
use arrow::datatypes::{ArrowPrimitiveType, DataType, Int64Type, UInt64Type};
use arrow::error::ArrowError;
use sha2::block_api::compress256;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::text::nfc;

/// The first eight words of SHA-256, before any block.
const SHA256_START: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

const BLOCK: usize = 64;

/// Every byte in lower-case hexadecimal.
#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
static HEX: [[u8; 2]; 256] = {
    let digits = *b"0123456789abcdef";
    let mut pairs = [[0; 2]; 256];
    let mut byte = 0;
    while byte < pairs.len() {
        pairs[byte] = [digits[byte >> 4], digits[byte & 15]];
        byte += 1;
    }
    pairs
};

/// Keeps an identifier apart from the same bytes of another kind.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Tag {
    Text = 1,
    Signed = 2,
    #[cfg(test)]
    Date = 3,
    Binary = 4,
    Unsigned = 7,
}

/// HMAC-SHA-256 with its key absorbed.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
struct KeyedHmac {
    inner: [u32; 8],
    outer: [u32; 8],
}

impl KeyedHmac {
    fn new(key: &[u8; 32]) -> Self {
        let absorb = |pad: u8| {
            let mut block = [pad; BLOCK];
            for (slot, byte) in block.iter_mut().zip(key) {
                *slot ^= byte;
            }
            let mut state = SHA256_START;
            compress256(&mut state, &[block]);
            block.zeroize();
            state
        };
        Self {
            inner: absorb(0x36),
            outer: absorb(0x5c),
        }
    }

    fn mac(&self, tag: Tag, body: &[u8]) -> [u8; 32] {
        let mut state = self.inner;
        let mut block = [0; BLOCK];
        let [first, rest_of_block @ ..] = &mut block;
        *first = tag as u8;
        // The tag takes one byte of the first block, the end mark and the length nine of the last.
        let (head, mut body) = body.split_at(body.len().min(BLOCK - 1));
        put(rest_of_block, head);
        let mut filled = 1 + head.len();
        let message = (BLOCK + 1 + head.len() + body.len()) as u64;
        while filled == BLOCK {
            compress256(&mut state, &[block]);
            block = [0; BLOCK];
            let (head, rest) = body.split_at(body.len().min(BLOCK));
            put(&mut block, head);
            filled = head.len();
            body = rest;
        }
        if let Some(end) = block.get_mut(filled) {
            *end = 0x80;
        }
        if filled + 9 > BLOCK {
            compress256(&mut state, &[block]);
            block = [0; BLOCK];
        }
        put_length(&mut block, message);
        compress256(&mut state, &[block]);
        self.finish(state)
    }

    fn finish(&self, inner: [u32; 8]) -> [u8; 32] {
        let mut block = [0; BLOCK];
        put(&mut block, &bytes(inner));
        block[32] = 0x80;
        put_length(&mut block, (BLOCK + 32) as u64);
        let mut state = self.outer;
        compress256(&mut state, &[block]);
        bytes(state)
    }
}

fn put(target: &mut [u8], source: &[u8]) {
    for (slot, byte) in target.iter_mut().zip(source) {
        *slot = *byte;
    }
}

fn put_length(block: &mut [u8; BLOCK], bytes: u64) {
    if let Some(end) = block.last_chunk_mut() {
        *end = (bytes * 8).to_be_bytes();
    }
}

fn bytes(state: [u32; 8]) -> [u8; 32] {
    let mut out = [0; 32];
    let (words, _) = out.as_chunks_mut::<4>();
    for (slot, word) in words.iter_mut().zip(state) {
        *slot = word.to_be_bytes();
    }
    out
}

/// The first 63 bits as a number that is never negative.
fn number(token: &[u8; 32]) -> u64 {
    token
        .first_chunk()
        .map_or(0, |head| u64::from_be_bytes(*head) >> 1)
}

/// Makes tokens of one identifier space.
pub(crate) struct PseudonymKernel {
    mac: KeyedHmac,
    /// Length of a token in bytes, where the type leaves a choice.
    length: usize,
}

impl PseudonymKernel {
    pub(crate) fn new(key: &[u8; 32], bits: u32) -> Self {
        Self {
            mac: KeyedHmac::new(key),
            length: (bits / 8) as usize,
        }
    }

    /// Why a type cannot hold the token, if it cannot.
    pub(crate) fn check(data_type: &DataType, bits: u32) -> Result<(), &'static str> {
        let token = i32::try_from(bits / 8).unwrap_or(i32::MAX);
        match data_type {
            DataType::Utf8
            | DataType::LargeUtf8
            | DataType::Utf8View
            | DataType::Int64
            | DataType::UInt64
            | DataType::Binary
            | DataType::LargeBinary
            | DataType::BinaryView => Ok(()),
            DataType::FixedSizeBinary(width) if *width == token => Ok(()),
            DataType::FixedSizeBinary(_) => Err("a fixed-size binary must be as long as `bits`"),
            DataType::Int8
            | DataType::Int16
            | DataType::Int32
            | DataType::UInt8
            | DataType::UInt16
            | DataType::UInt32 => Err(
                "it works on text, Int64, UInt64 and binary; a token of fewer than 63 bits would \
                 make two people one",
            ),
            _ => Err("it works on text, Int64, UInt64 and binary"),
        }
    }

    pub(crate) fn apply(&self, array: &dyn Array) -> Result<ArrayRef, ArrowError> {
        match array.data_type() {
            DataType::Utf8 => self.text::<i32>(array.as_string::<i32>(), array.nulls()),
            DataType::LargeUtf8 => self.text::<i64>(array.as_string::<i64>(), array.nulls()),
            DataType::Utf8View => self.text_view(array),
            DataType::Int64 => {
                let token = |value: i64| self.mac.mac(Tag::Signed, &value.to_be_bytes());
                Ok(number_column::<Int64Type>(array, token, |token| {
                    number(token).cast_signed()
                }))
            }
            DataType::UInt64 => {
                let token = |value: u64| self.mac.mac(Tag::Unsigned, &value.to_be_bytes());
                Ok(number_column::<UInt64Type>(array, token, number))
            }
            DataType::Binary => self.binary::<i32>(array),
            DataType::LargeBinary => self.binary::<i64>(array),
            DataType::BinaryView => self.binary_view(array),
            DataType::FixedSizeBinary(_) => self.fixed(array),
            other => Err(ArrowError::InvalidArgumentError(format!(
                "pseudonymize was given {other}"
            ))),
        }
    }

    fn text_token(&self, value: &str) -> [u8; 32] {
        self.mac.mac(Tag::Text, nfc(value).as_bytes())
    }

    fn binary_token(&self, value: &[u8]) -> [u8; 32] {
        self.mac.mac(Tag::Binary, value)
    }

    fn text<O: OffsetSizeTrait>(
        &self,
        array: &GenericStringArray<O>,
        nulls: Option<&NullBuffer>,
    ) -> Result<ArrayRef, ArrowError> {
        let value = |row| array.value(row);
        let tokens = distinct(
            array.len(),
            nulls,
            value,
            |v| hash(v.as_bytes()),
            |v| self.text_token(v),
        );
        let (offsets, values) = tokens.column::<O>(&self.hex(&tokens), self.length * 2)?;
        Ok(Arc::new(GenericStringArray::try_new(
            offsets,
            values,
            nulls.cloned(),
        )?))
    }

    fn binary<O: OffsetSizeTrait>(&self, array: &dyn Array) -> Result<ArrayRef, ArrowError> {
        let (array, nulls) = (array.as_binary::<O>(), array.nulls());
        let value = |row| array.value(row);
        let tokens = distinct(array.len(), nulls, value, hash, |v| self.binary_token(v));
        let (offsets, values) = tokens.column::<O>(&self.cut(&tokens), self.length)?;
        Ok(Arc::new(GenericBinaryArray::try_new(
            offsets,
            values,
            nulls.cloned(),
        )?))
    }

    fn text_view(&self, array: &dyn Array) -> Result<ArrayRef, ArrowError> {
        let (array, nulls) = (array.as_string_view(), array.nulls());
        let value = |row| array.value(row);
        let tokens = distinct(
            array.len(),
            nulls,
            value,
            |v| hash(v.as_bytes()),
            |v| self.text_token(v),
        );
        let hex = self.hex(&tokens);
        if u32::try_from(hex.len()).is_err() {
            return Err(ArrowError::OffsetOverflowError(hex.len()));
        }
        let mut builder = StringViewBuilder::with_capacity(array.len());
        // Every distinct token is in the block once and pointed at by each row that shows it.
        let block = builder.append_block(Buffer::from_vec(hex));
        let width = (self.length * 2) as u32;
        for id in &tokens.ids {
            match (*id != NO_TOKEN).then(|| id.wrapping_mul(width)) {
                Some(start) => builder.try_append_view(block, start, width)?,
                None => builder.append_null(),
            }
        }
        Ok(Arc::new(builder.finish()))
    }

    fn binary_view(&self, array: &dyn Array) -> Result<ArrayRef, ArrowError> {
        let (array, nulls) = (array.as_binary_view(), array.nulls());
        let value = |row| array.value(row);
        let tokens = distinct(array.len(), nulls, value, hash, |v| self.binary_token(v));
        let cut = self.cut(&tokens);
        let mut builder = BinaryViewBuilder::with_capacity(array.len());
        for id in &tokens.ids {
            match Tokens::bytes(*id, &cut, self.length) {
                Some(token) => builder.try_append_value(token)?,
                None => builder.append_null(),
            }
        }
        Ok(Arc::new(builder.finish()))
    }

    fn fixed(&self, array: &dyn Array) -> Result<ArrayRef, ArrowError> {
        let (array, nulls) = (array.as_fixed_size_binary(), array.nulls());
        let value = |row| array.value(row);
        let tokens = distinct(array.len(), nulls, value, hash, |v| self.binary_token(v));
        let cut = self.cut(&tokens);
        let mut values = Vec::with_capacity(array.len() * self.length);
        for id in &tokens.ids {
            match Tokens::bytes(*id, &cut, self.length) {
                Some(token) => values.extend_from_slice(token),
                None => values.resize(values.len() + self.length, 0),
            }
        }
        let (width, values) = (array.value_length(), Buffer::from_vec(values));
        Ok(Arc::new(FixedSizeBinaryArray::try_new_with_len(
            width,
            values,
            nulls.cloned(),
            array.len(),
        )?))
    }

    /// All distinct tokens one after the other, cut to length.
    fn cut(&self, tokens: &Tokens) -> Vec<u8> {
        tokens
            .tokens
            .iter()
            .flat_map(|token| token.iter().take(self.length))
            .copied()
            .collect()
    }

    /// The same in lower-case hexadecimal.
    fn hex(&self, tokens: &Tokens) -> Vec<u8> {
        let mut out = Vec::with_capacity(tokens.tokens.len() * self.length * 2);
        for token in &tokens.tokens {
            let mut digits = [0; 64];
            let (pairs, _) = digits.as_chunks_mut();
            for (pair, byte) in pairs.iter_mut().zip(token.iter().take(self.length)) {
                *pair = HEX.get(usize::from(*byte)).copied().unwrap_or_default();
            }
            out.extend_from_slice(digits.get(..self.length * 2).unwrap_or_default());
        }
        out
    }
}

/// The rows of a column by their distinct values, as far as it was cheap to find out.
struct Tokens {
    /// For each row the place of its token; [`NO_TOKEN`] for NULL.
    ids: Vec<u32>,
    tokens: Vec<[u8; 32]>,
}

const NO_TOKEN: u32 = u32::MAX;

impl Tokens {
    fn bytes(id: u32, all: &[u8], width: usize) -> Option<&[u8]> {
        if id == NO_TOKEN {
            return None;
        }
        let start = id as usize * width;
        all.get(start..start + width)
    }

    fn column<O: OffsetSizeTrait>(
        &self,
        all: &[u8],
        width: usize,
    ) -> Result<(OffsetBuffer<O>, Buffer), ArrowError> {
        let mut values = Vec::with_capacity(self.ids.len() * width);
        let mut offsets = Vec::with_capacity(self.ids.len() + 1);
        offsets.push(O::zero());
        for id in &self.ids {
            values.extend_from_slice(Self::bytes(*id, all, width).unwrap_or_default());
            let end = O::from_usize(values.len());
            offsets.push(end.ok_or(ArrowError::OffsetOverflowError(values.len()))?);
        }
        Ok((OffsetBuffer::new(offsets.into()), Buffer::from_vec(values)))
    }
}

/// How many recent values are remembered; four KiB, so that it stays in the nearest cache.
const MEMO: usize = 1024;

/// Computes the token of each run of equal values once, and of most values that come back.
fn distinct<V: Copy + PartialEq>(
    len: usize,
    nulls: Option<&NullBuffer>,
    value: impl Fn(usize) -> V,
    hash: impl Fn(V) -> u64,
    token: impl Fn(V) -> [u8; 32],
) -> Tokens {
    let mut tokens = Tokens {
        ids: Vec::with_capacity(len),
        tokens: Vec::new(),
    };
    let mut firsts: Vec<V> = Vec::new();
    let mut memo = [NO_TOKEN; MEMO];
    let mut previous: Option<(V, u32)> = None;
    for row in 0..len {
        if nulls.is_some_and(|nulls| nulls.is_null(row)) {
            tokens.ids.push(NO_TOKEN);
            continue;
        }
        let current = value(row);
        let id = match previous {
            Some((same, id)) if same == current => id,
            _ => {
                let slot = memo.get_mut((hash(current) >> 54) as usize);
                let known = slot.as_deref().copied().unwrap_or(NO_TOKEN);
                if firsts.get(known as usize) == Some(&current) {
                    known
                } else {
                    let id = firsts.len() as u32;
                    firsts.push(current);
                    tokens.tokens.push(token(current));
                    if let Some(slot) = slot {
                        *slot = id;
                    }
                    id
                }
            }
        };
        previous = Some((current, id));
        tokens.ids.push(id);
    }
    tokens
}

fn number_column<T: ArrowPrimitiveType>(
    array: &dyn Array,
    token: impl Fn(T::Native) -> [u8; 32],
    number: impl Fn(&[u8; 32]) -> T::Native,
) -> ArrayRef
where
    T::Native: Into<i128>,
{
    let array = array.as_primitive::<T>();
    let spread = |value: T::Native| mix(value.into() as u64);
    let tokens = distinct(
        array.len(),
        array.nulls(),
        |row| array.value(row),
        spread,
        token,
    );
    let distinct: Vec<T::Native> = tokens.tokens.iter().map(number).collect();
    let values = tokens
        .ids
        .iter()
        .map(|id| distinct.get(*id as usize).copied().unwrap_or_default());
    Arc::new(PrimitiveArray::<T>::new(
        values.collect(),
        array.nulls().cloned(),
    ))
}

/// Spreads a number over the upper bits. It only places values in the memo; a bad spread costs
/// time, never a wrong token.
fn mix(value: u64) -> u64 {
    (value ^ (value >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// Length, beginning and end of a value; see [`mix`].
fn hash(value: &[u8]) -> u64 {
    let mut short = [0; 8];
    put(&mut short, value);
    let first = u64::from_le_bytes(*value.first_chunk().unwrap_or(&short));
    let last = u64::from_le_bytes(*value.last_chunk().unwrap_or(&[0; 8]));
    mix(first
        .wrapping_add(last.rotate_left(23))
        .wrapping_add(value.len() as u64))
}

#[cfg(test)]
mod tests;
