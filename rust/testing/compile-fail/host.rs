// SPDX-License-Identifier: GPL-2.0-only

// The backend on the host, at the root of a crate as in the host tests. Cases include this file
// that need more than the types.

#[path = "../host/backend/mod.rs"]
mod backend;
#[path = "../host/guest/mod.rs"]
mod guest;
#[path = "../host/platform/mod.rs"]
mod platform;

use crate::backend::*;
