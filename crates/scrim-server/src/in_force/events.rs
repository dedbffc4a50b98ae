//! What the operating system tells of folders.

use std::path::PathBuf;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A file was written to, and is still open.
    Written,
    /// A file was closed after writing, or is gone from this place.
    Closed,
    /// Something else.
    Other,
}

/// Something happened, or so much that some of it was lost, and then there is no path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) kind: Kind,
    pub(super) path: Option<PathBuf>,
}

#[cfg(target_os = "linux")]
pub(super) use linux::Events;
#[cfg(not(target_os = "linux"))]
pub(super) use nothing::Events;

#[cfg(target_os = "linux")]
mod linux {
    use std::collections::BTreeSet;
    use std::io;
    use std::path::PathBuf;

    use inotify::{EventMask, Inotify, WatchDescriptor, WatchMask};
    use tokio::io::unix::AsyncFd;

    use super::{Event, Kind};

    /// Bytes of events that are taken at once.
    const BUFFER_BYTES: usize = 16 * 1024;

    /// Events of watched folders.
    #[derive(Debug)]
    pub(in super::super) struct Events {
        inotify: AsyncFd<Inotify>,
        folders: Vec<(WatchDescriptor, PathBuf)>,
        /// Those that cannot be watched, of which the log says so.
        unwatched: BTreeSet<PathBuf>,
        buffer: Vec<u8>,
    }

    impl Events {
        /// Watches nothing yet.
        pub(in super::super) fn new() -> io::Result<Self> {
            #[expect(
                deprecated,
                reason = "what takes its place is unsafe code; this descriptor belongs to its value"
            )]
            let inotify = AsyncFd::new(Inotify::init()?)?;
            Ok(Self {
                inotify,
                folders: Vec::new(),
                unwatched: BTreeSet::new(),
                buffer: vec![0; BUFFER_BYTES],
            })
        }

        /// Watches these folders, without what is below them, and no others.
        pub(in super::super) fn watch(&mut self, folders: BTreeSet<PathBuf>) {
            let mask = WatchMask::ATTRIB
                | WatchMask::CLOSE_WRITE
                | WatchMask::CREATE
                | WatchMask::DELETE
                | WatchMask::DELETE_SELF
                | WatchMask::MODIFY
                | WatchMask::MOVE
                | WatchMask::MOVE_SELF
                | WatchMask::ONLYDIR;
            let mut watches = self.inotify.get_ref().watches();
            let mut now = Vec::with_capacity(folders.len());
            let mut unwatched = BTreeSet::new();
            for folder in folders {
                match watches.add(&folder, mask) {
                    Ok(watch) => now.push((watch, folder)),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => {
                        if !self.unwatched.contains(&folder) {
                            let folder = folder.display();
                            tracing::warn!(%error, %folder, "a folder is not watched");
                        }
                        unwatched.insert(folder);
                    }
                }
            }
            self.unwatched = unwatched;
            for (watch, _) in std::mem::replace(&mut self.folders, now) {
                if self.folders.iter().all(|(kept, _)| *kept != watch) {
                    // One whose folder is gone is gone, too.
                    drop(watches.remove(watch));
                }
            }
        }

        /// Waits for events. May be dropped at any time.
        pub(in super::super) async fn next(&mut self) -> io::Result<Vec<Event>> {
            let told = loop {
                let mut ready = self.inotify.readable_mut().await?;
                let read = ready.try_io(|inotify| {
                    let events = inotify.get_mut().read_events(&mut self.buffer)?;
                    let told = |event: inotify::Event<&std::ffi::OsStr>| {
                        let name = event.name.map(PathBuf::from);
                        (event.wd, event.mask, name)
                    };
                    Ok(events.map(told).collect::<Vec<_>>())
                });
                if let Ok(told) = read {
                    break told?;
                }
            };
            let told = told.into_iter();
            Ok(told.flat_map(|told| self.events(told)).collect())
        }

        /// A folder may be watched by several names.
        fn events(
            &self,
            (watch, mask, name): (WatchDescriptor, EventMask, Option<PathBuf>),
        ) -> Vec<Event> {
            if mask.contains(EventMask::Q_OVERFLOW) {
                let kind = Kind::Other;
                return vec![Event { kind, path: None }];
            }
            let closed = EventMask::CLOSE_WRITE | EventMask::DELETE | EventMask::MOVED_FROM;
            let kind = if mask.intersects(closed) {
                Kind::Closed
            } else if mask.contains(EventMask::MODIFY) {
                Kind::Written
            } else {
                Kind::Other
            };
            let folders = self.folders.iter().filter(|(known, _)| *known == watch);
            let path = |folder: &PathBuf| match &name {
                Some(name) => folder.join(name),
                None => folder.clone(),
            };
            let event = |folder| Event {
                kind,
                path: Some(path(folder)),
            };
            folders.map(|(_, folder)| event(folder)).collect()
        }
    }
}

/// Elsewhere changes are found by looking.
#[cfg(not(target_os = "linux"))]
mod nothing {
    use std::collections::BTreeSet;
    use std::io;
    use std::path::PathBuf;

    use super::Event;

    /// No events.
    #[derive(Debug)]
    pub(in super::super) struct Events;

    impl Events {
        /// There are none here.
        pub(in super::super) fn new() -> io::Result<Self> {
            Err(io::ErrorKind::Unsupported.into())
        }

        /// Watches nothing.
        pub(in super::super) fn watch(&mut self, folders: BTreeSet<PathBuf>) {
            drop(folders);
        }

        /// Waits for ever.
        pub(in super::super) async fn next(&mut self) -> io::Result<Vec<Event>> {
            std::future::pending().await
        }
    }
}
