//! A disk in memory that fails, fills up, and remembers everything that was done to it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Write};
use std::rc::Rc;

use distill_trainer::run_dir::storage::{Storage, StoredFile};

/// What was done to a disk. Files have numbers, since their names change.
#[derive(Debug, Clone)]
pub(crate) enum Operation {
    Create { name: String, file: usize },
    Write { file: usize, bytes: Vec<u8> },
    SyncFile { file: usize },
    Rename { from: String, to: String, file: usize },
    Remove { name: String },
    SyncFolder,
}

/// How a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// With this error; a write has written half of its bytes then.
    Error(ErrorKind),
    /// Half of the bytes are written, which is no error; other calls do not fail.
    ShortWrite,
}

/// Which calls fail.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    /// Number of the first, from 1 on.
    pub(crate) at: usize,
    pub(crate) fault: Fault,
    /// Whether all after it fail as well.
    pub(crate) for_good: bool,
}

/// A folder on a disk in memory. Clones are the same folder.
#[derive(Clone, Default)]
pub(crate) struct Disk(Rc<RefCell<Inner>>);

#[derive(Default)]
struct Inner {
    names: BTreeMap<String, usize>,
    contents: Vec<Vec<u8>>,
    operations: Vec<Operation>,
    calls: usize,
    plan: Option<Plan>,
    /// Bytes that fit on it.
    room: Option<usize>,
}

impl Disk {
    /// A disk with these files.
    pub(crate) fn with(files: BTreeMap<String, Vec<u8>>) -> Self {
        let disk = Self::default();
        for (name, bytes) in files {
            let mut inner = disk.0.borrow_mut();
            let file = inner.contents.len();
            inner.names.insert(name, file);
            inner.contents.push(bytes);
        }
        disk
    }

    /// The files as they are now.
    pub(crate) fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let inner = self.0.borrow();
        let content =
            |(name, file): (&String, &usize)| (name.clone(), inner.contents[*file].clone());
        inner.names.iter().map(content).collect()
    }

    /// From now on calls fail by plan, if there is one; they are counted anew.
    pub(crate) fn fail(&self, plan: Option<Plan>) {
        let mut inner = self.0.borrow_mut();
        (inner.plan, inner.calls) = (plan, 0);
    }

    /// From now on so many bytes fit on it.
    pub(crate) fn set_room(&self, bytes: usize) {
        self.0.borrow_mut().room = Some(bytes);
    }

    pub(crate) fn used(&self) -> usize {
        self.files().values().map(Vec::len).sum()
    }

    /// Calls since [`Self::fail`].
    pub(crate) fn calls(&self) -> usize {
        self.0.borrow().calls
    }

    /// Everything that was done to it.
    pub(crate) fn operations(&self) -> Vec<Operation> {
        self.0.borrow().operations.clone()
    }

    /// Counts a call, and fails if it is its turn.
    fn call(&self) -> Result<(), Fault> {
        let mut inner = self.0.borrow_mut();
        inner.calls += 1;
        let calls = inner.calls;
        let turn = |plan: &Plan| calls == plan.at || plan.for_good && calls > plan.at;
        inner.plan.filter(turn).map_or(Ok(()), |plan| Err(plan.fault))
    }

    /// As [`Self::call`], for what writes no bytes.
    fn plain_call(&self) -> io::Result<()> {
        match self.call() {
            Err(Fault::Error(kind)) => Err(kind.into()),
            Err(Fault::ShortWrite) | Ok(()) => Ok(()),
        }
    }

    fn file(&self, name: &str) -> io::Result<usize> {
        self.0.borrow().names.get(name).copied().ok_or_else(|| ErrorKind::NotFound.into())
    }

    fn note(&self, operation: Operation) {
        self.0.borrow_mut().operations.push(operation);
    }
}

impl Storage for Disk {
    fn list(&self) -> io::Result<Vec<String>> {
        self.plain_call()?;
        Ok(self.0.borrow().names.keys().cloned().collect())
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        self.plain_call()?;
        let file = self.file(name)?;
        Ok(self.0.borrow().contents[file].clone())
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn StoredFile + '_>> {
        self.plain_call()?;
        let mut inner = self.0.borrow_mut();
        let file = inner.contents.len();
        inner.contents.push(Vec::new());
        inner.names.insert(name.to_owned(), file);
        drop(inner);
        self.note(Operation::Create { name: name.to_owned(), file });
        Ok(Box::new(Writing { disk: self, file }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.plain_call()?;
        let file = self.file(from)?;
        let mut inner = self.0.borrow_mut();
        inner.names.remove(from);
        inner.names.insert(to.to_owned(), file);
        drop(inner);
        self.note(Operation::Rename { from: from.to_owned(), to: to.to_owned(), file });
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.plain_call()?;
        self.file(name)?;
        self.0.borrow_mut().names.remove(name);
        self.note(Operation::Remove { name: name.to_owned() });
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.plain_call()?;
        self.note(Operation::SyncFolder);
        Ok(())
    }
}

/// A file that is being written.
struct Writing<'a> {
    disk: &'a Disk,
    file: usize,
}

impl Writing<'_> {
    fn append(&self, bytes: &[u8]) {
        self.disk.0.borrow_mut().contents[self.file].extend(bytes);
        self.disk.note(Operation::Write { file: self.file, bytes: bytes.to_vec() });
    }
}

impl Write for Writing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let half = bytes.len().div_ceil(2);
        match self.disk.call() {
            // Nothing is written by a call that was interrupted.
            Err(Fault::Error(ErrorKind::Interrupted)) => return Err(ErrorKind::Interrupted.into()),
            Err(Fault::Error(kind)) => {
                self.append(&bytes[..half]);
                return Err(kind.into());
            }
            Err(Fault::ShortWrite) => {
                self.append(&bytes[..half]);
                return Ok(half);
            }
            Ok(()) => {}
        }
        let room = self.disk.0.borrow().room;
        let free = room.map_or(bytes.len(), |room| room.saturating_sub(self.disk.used()));
        let fits = bytes.len().min(free);
        if fits == 0 && !bytes.is_empty() {
            return Err(ErrorKind::StorageFull.into());
        }
        self.append(&bytes[..fits]);
        Ok(fits)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl StoredFile for Writing<'_> {
    fn sync(&mut self) -> io::Result<()> {
        self.disk.plain_call()?;
        self.disk.note(Operation::SyncFile { file: self.file });
        Ok(())
    }
}
