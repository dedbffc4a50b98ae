//! Files as they were when they were listed: every read says which version it means, and what
//! another version holds is an error.

use std::fmt;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use chrono::SubsecRound;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use object_store::{GetOptions, GetRange, GetResult, GetResultPayload, ObjectMeta};
use scrim_engine::{FaultKind, SourceFault};

use super::fault::fault;
use super::listing::Listing;
use super::store::Store;

/// Bytes between two wanted ranges that are read rather than asked for in two requests.
const GAP_MAX: u64 = 64 << 10;
/// Bytes of one request; what is longer is asked for in several at once.
const REQUEST_MAX: u64 = 8 << 20;
/// Requests for one read that run at once.
const AT_ONCE: usize = 8;
/// Bytes of one piece of a file that is read from its start to its end.
const PIECE: u64 = 4 << 20;

/// A file as it was when it was listed.
#[derive(Debug, Clone)]
pub(super) struct Pinned {
    store: Arc<Store>,
    meta: ObjectMeta,
    listing: Arc<dyn Listing>,
}

impl Pinned {
    pub(super) fn new(store: Arc<Store>, meta: ObjectMeta, listing: Arc<dyn Listing>) -> Self {
        Self {
            store,
            meta,
            listing,
        }
    }

    pub(super) fn meta(&self) -> &ObjectMeta {
        &self.meta
    }

    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    pub(super) fn size(&self) -> u64 {
        self.meta.size
    }

    /// A fault of this file's.
    pub(super) fn fault(&self, kind: FaultKind, what: impl fmt::Display) -> SourceFault {
        SourceFault::new(kind, format!("{self}: {what}"))
    }

    /// One range.
    pub(super) async fn range(&self, range: Range<u64>) -> Result<Bytes, SourceFault> {
        let mut ranges = self.ranges(std::slice::from_ref(&range)).await?;
        ranges.pop().ok_or_else(|| self.changed("a read was short"))
    }

    /// Several ranges; near ones in one request, long ones in several.
    pub(super) async fn ranges(&self, ranges: &[Range<u64>]) -> Result<Vec<Bytes>, SourceFault> {
        let read = if self.store.is_local() {
            self.read_local(ranges.to_vec()).await
        } else {
            self.read_remote(ranges).await
        };
        read.inspect_err(|fault| {
            if fault.kind() == FaultKind::Changed {
                self.listing.outdated();
            }
        })
    }

    /// The whole file, piece by piece; the next piece is on its way while one is worked on.
    pub(super) fn pieces(&self) -> BoxStream<'static, Result<Bytes, SourceFault>> {
        let file = self.clone();
        let pieces = cut(0..self.size(), PIECE);
        stream::iter(pieces)
            .map(move |piece| {
                let file = file.clone();
                async move { file.range(piece).await }
            })
            .buffered(2)
            .boxed()
    }

    async fn read_local(&self, ranges: Vec<Range<u64>>) -> Result<Vec<Bytes>, SourceFault> {
        let got = self.get(None).await?;
        let GetResultPayload::File(mut file, _) = got.payload else {
            return Err(self.changed("it is no file"));
        };
        let this = self.clone();
        let read = tokio::task::spawn_blocking(move || {
            let unreadable = |e: std::io::Error| this.fault(FaultKind::Unavailable, e);
            let mut read = Vec::with_capacity(ranges.len());
            for range in ranges {
                let mut bytes = vec![0; length(&range)];
                file.seek(SeekFrom::Start(range.start))
                    .map_err(unreadable)?;
                file.read_exact(&mut bytes)
                    .map_err(|_| this.changed("it became shorter"))?;
                read.push(Bytes::from(bytes));
            }
            // What was written over it meanwhile is seen by its new time.
            let after = file.metadata().map_err(unreadable)?;
            let time = after.modified().map_err(unreadable)?;
            let same = after.len() == this.meta.size
                && chrono::DateTime::<chrono::Utc>::from(time) == this.meta.last_modified;
            same.then_some(read)
                .ok_or_else(|| this.changed("it was written while it was read"))
        });
        read.await
            .unwrap_or_else(|_| Err(self.fault(FaultKind::Unavailable, "a read broke off")))
    }

    async fn read_remote(&self, ranges: &[Range<u64>]) -> Result<Vec<Bytes>, SourceFault> {
        let requests: Vec<Range<u64>> = merged(ranges)
            .into_iter()
            .flat_map(|range| cut(range, REQUEST_MAX))
            .collect();
        let got: Vec<Bytes> = stream::iter(requests.iter().cloned())
            .map(|range| self.request(range))
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        let within = |range: &Range<u64>| {
            assembled(range, &requests, &got).ok_or_else(|| self.changed("a read was short"))
        };
        ranges.iter().map(within).collect()
    }

    async fn request(&self, range: Range<u64>) -> Result<Bytes, SourceFault> {
        // Simple servers do not serve parts of files, but a whole one.
        let whole = range == (0..self.meta.size);
        let wanted = (!whole).then(|| GetRange::Bounded(range.clone()));
        let got = self.get(wanted).await?;
        let bytes = got
            .bytes()
            .await
            .map_err(|e| fault(&self.to_string(), &e))?;
        if bytes.len() == length(&range) {
            Ok(bytes)
        } else {
            Err(self.changed("a read was short"))
        }
    }

    /// Asks for exactly this version, and looks at which one came: not every server heeds the
    /// question.
    async fn get(&self, range: Option<GetRange>) -> Result<GetResult, SourceFault> {
        let tag = self.meta.e_tag.as_deref();
        let options = GetOptions {
            if_match: tag
                .filter(|tag| !tag.starts_with("W/"))
                .map(|tag| self.store.quoted(tag)),
            if_unmodified_since: tag.is_none().then_some(self.meta.last_modified),
            range,
            ..GetOptions::default()
        };
        let got = self.store.inner().get_opts(&self.meta.location, options);
        let got = got.await.map_err(|e| fault(&self.to_string(), &e))?;
        if same(&self.meta, &got.meta) {
            Ok(got)
        } else {
            Err(self.changed("it was replaced"))
        }
    }

    fn changed(&self, what: &str) -> SourceFault {
        self.fault(FaultKind::Changed, what)
    }
}

impl fmt::Display for Pinned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.store.shown(self.meta.location.as_ref()))
    }
}

/// Whether two descriptions are of the same version. Listings and answers differ in how exact a
/// time is and in whether they tell the tag.
fn same(listed: &ObjectMeta, got: &ObjectMeta) -> bool {
    let bare = |tag: &str| tag.trim_start_matches("W/").trim_matches('"').to_owned();
    let tags = listed.e_tag.as_deref().zip(got.e_tag.as_deref());
    let newer = got.last_modified.trunc_subsecs(0) > listed.last_modified;
    listed.size == got.size && tags.map_or(!newer, |(a, b)| bare(a) == bare(b))
}

fn length(range: &Range<u64>) -> usize {
    usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(usize::MAX)
}

/// The ranges in order, those that lie near each other as one.
fn merged(ranges: &[Range<u64>]) -> Vec<Range<u64>> {
    let mut sorted = ranges.to_vec();
    sorted.retain(|range| range.start < range.end);
    sorted.sort_unstable_by_key(|range| range.start);
    let mut merged: Vec<Range<u64>> = Vec::with_capacity(sorted.len());
    for range in sorted {
        match merged.last_mut() {
            Some(last) if range.start <= last.end.saturating_add(GAP_MAX) => {
                last.end = last.end.max(range.end);
            }
            _ => merged.push(range),
        }
    }
    merged
}

fn cut(range: Range<u64>, most: u64) -> impl Iterator<Item = Range<u64>> {
    let end = range.end;
    let next = move |start: &u64| Some(start + most).filter(|next| *next < end);
    let first = Some(range.start).filter(|start| *start < end);
    std::iter::successors(first, next).map(move |start| start..end.min(start + most))
}

/// A range from the requests that cover it; they are in order, without gaps where one is wanted.
fn assembled(range: &Range<u64>, requests: &[Range<u64>], got: &[Bytes]) -> Option<Bytes> {
    if range.start >= range.end {
        return Some(Bytes::new());
    }
    let first = requests.partition_point(|request| request.end <= range.start);
    let slice = |at: u64, index: usize| {
        let (request, bytes) = (requests.get(index)?, got.get(index)?);
        let from = usize::try_from(at.checked_sub(request.start)?).ok()?;
        let to = length(&(request.start..range.end.min(request.end)));
        (from <= to && to <= bytes.len()).then(|| bytes.slice(from..to))
    };
    if range.end <= requests.get(first)?.end {
        return slice(range.start, first);
    }
    let mut whole = BytesMut::with_capacity(length(range));
    let mut index = first;
    while whole.len() < length(range) {
        let part = slice(range.start + whole.len() as u64, index)?;
        whole.extend_from_slice(&part);
        index += 1;
    }
    Some(whole.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_ranges_are_one_request_and_far_ones_are_not() {
        let far = 3 * GAP_MAX;
        let ranges = [far..far + 5, 10..20, 15..40, 0..0, GAP_MAX..GAP_MAX + 1];
        assert_eq!(merged(&ranges), [10..GAP_MAX + 1, far..far + 5]);
    }

    #[test]
    fn long_ranges_are_cut() {
        assert_eq!(cut(0..0, 4).count(), 0);
        assert_eq!(cut(3..8, 4).collect::<Vec<_>>(), [3..7, 7..8]);
        assert_eq!(cut(3..12, 4).collect::<Vec<_>>(), [3..7, 7..11, 11..12]);
    }

    #[test]
    fn what_came_in_several_requests_is_one_range() {
        let data: Vec<u8> = (0..100).collect();
        let requests = [10..20, 20..30, 30..35, 50..60];
        let got: Vec<Bytes> = requests
            .iter()
            .map(|r| Bytes::copy_from_slice(&data[r.start as usize..r.end as usize]))
            .collect();
        for range in [12..15, 10..20, 15..25, 10..35, 34..35, 52..60, 7..7] {
            let expected = &data[range.start as usize..range.end as usize];
            let found = assembled(&range, &requests, &got).unwrap();
            assert_eq!(found.as_ref(), expected, "{range:?}");
        }
        for range in [5..12, 30..40, 55..61, 70..71] {
            assert_eq!(assembled(&range, &requests, &got), None, "{range:?}");
        }
    }

    #[test]
    fn versions_are_told_apart() {
        let meta = |size, tag: Option<&str>, time: &str| ObjectMeta {
            location: "a".into(),
            last_modified: time.parse().unwrap(),
            size,
            e_tag: tag.map(str::to_owned),
            version: None,
        };
        let (early, late) = ("2026-01-01T00:00:00.7Z", "2026-01-01T00:00:01Z");
        let second = "2026-01-01T00:00:00Z";
        for (listed, got, expected) in [
            (
                meta(1, Some("\"x\""), early),
                meta(1, Some("x"), late),
                true,
            ),
            (meta(1, Some("x"), early), meta(1, Some("y"), early), false),
            (
                meta(1, Some("W/\"x\""), early),
                meta(1, Some("\"x\""), early),
                true,
            ),
            (meta(1, None, early), meta(1, Some("x"), second), true),
            (meta(1, None, early), meta(1, None, late), false),
            (meta(1, None, early), meta(2, None, early), false),
        ] {
            assert_eq!(same(&listed, &got), expected, "{listed:?} {got:?}");
        }
    }
}
