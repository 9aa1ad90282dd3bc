// SPDX-License-Identifier: GPL-2.0-only

//! A simple MMU to compare with: the state of each page of each process.

use crate::guest::pages::FOLIO;
use crate::guest::Access;
use std::collections::{
    BTreeMap,
    BTreeSet, //
};

/// Where the contents of a page are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Contents {
    /// An anonymous page of the process, not touched yet if there is no word.
    Anonymous(Option<u64>),
    /// In this page of the file.
    File(usize),
}

/// The state of a page of a process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cell {
    pub(crate) access: Access,
    pub(crate) contents: Contents,
}

/// The address space of a process, by page number.
#[derive(Clone, Default, Debug)]
pub(crate) struct Space {
    cells: BTreeMap<usize, Cell>,
}

impl Space {
    /// Returns the state of page `page`.
    pub(crate) fn at(&self, page: usize) -> Option<Cell> {
        self.cells.get(&page).copied()
    }

    /// Returns the page that `pick` stands for, if there is any.
    pub(crate) fn pick(&self, pick: usize) -> Option<usize> {
        let nth = pick % self.cells.len().max(1);
        self.cells.keys().nth(nth).copied()
    }

    /// Returns all pages.
    pub(crate) fn cells(&self) -> impl Iterator<Item = (usize, Cell)> + '_ {
        self.cells.iter().map(|(page, cell)| (*page, *cell))
    }

    /// Maps pages, of the file from `file` on or anonymous ones.
    pub(crate) fn map(&mut self, first: usize, pages: usize, access: Access, file: Option<usize>) {
        for offset in 0..pages {
            let contents = match file {
                Some(number) => Contents::File(number + offset),
                None => Contents::Anonymous(None),
            };
            let cell = Cell { access, contents };
            self.cells.insert(first + offset, cell);
        }
    }

    /// Unmaps pages.
    pub(crate) fn unmap(&mut self, first: usize, pages: usize) {
        for page in first..first + pages {
            self.cells.remove(&page);
        }
    }

    /// Changes the access to pages.
    pub(crate) fn protect(&mut self, first: usize, pages: usize, access: Access) {
        for (_, cell) in self.cells.range_mut(first..first + pages) {
            cell.access = access;
        }
    }

    /// Moves pages.
    pub(crate) fn remap(&mut self, from: usize, pages: usize, to: usize) {
        self.unmap(to, pages);
        for offset in 0..pages {
            if let Some(cell) = self.cells.remove(&(from + offset)) {
                self.cells.insert(to + offset, cell);
            }
        }
    }

    /// Records that an anonymous page holds `word`.
    pub(crate) fn set(&mut self, page: usize, word: u64) {
        if let Some(cell) = self.cells.get_mut(&page) {
            cell.contents = Contents::Anonymous(Some(word));
        }
    }
}

/// The file, and which of its pages are dirty.
#[derive(Default, Debug)]
pub(crate) struct File {
    words: BTreeMap<usize, u64>,
    written: BTreeSet<usize>,
}

impl File {
    /// A process writes to a page.
    pub(crate) fn write(&mut self, number: usize, word: u64) {
        self.words.insert(number, word);
        self.written.insert(number);
    }

    /// Returns the contents of a page.
    pub(crate) fn read(&self, number: usize) -> u64 {
        self.words.get(&number).copied().unwrap_or(0)
    }

    /// Returns the pages that were written to.
    pub(crate) fn written(&self) -> impl Iterator<Item = usize> + '_ {
        self.written.iter().copied()
    }

    /// A folio is written back.
    pub(crate) fn write_back(&mut self, folio: usize) {
        self.written.retain(|number| number / FOLIO != folio);
    }
}
