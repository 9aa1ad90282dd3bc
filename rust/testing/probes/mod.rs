// SPDX-License-Identifier: GPL-2.0-only

//! Probes of Xen: tests that it keeps its contract.
//!
//! The backend relies on rules of Xen, and its host tests on a model of them. The probes check the
//! model against Xen. They are tables of operations with the results that the contract defines. The
//! operations run in dom0 when it boots, and on the host on the model. Both must agree with the
//! tables.
//!
//! Everything except this file and [`dom0`] is shared with the host: `probe` and `steps` are the
//! language, `run` runs it, the others are the tables.

mod dom0;
mod extended;
mod leaves;
mod mappings;
mod memory;
mod multicalls;
mod negative;
mod pins;
mod probe;
mod run;
mod steps;
mod stores;
mod tables;
mod updates;

#[kernel::macros::kunit_tests(xen_pv_mmu_probes)]
mod tests {
    use super::dom0::Dom0;
    use super::probe::Probe;
    use super::run::{
        run,
        Tally, //
    };
    use super::*;
    use crate::platform::diag::kunit;
    use crate::platform::early::start_of_day::StartInfo;
    use kernel::prelude::*;

    /// Runs the probes of a table that can run on Xen.
    fn tally(probes: &[Probe], is_quiet: bool) -> Result<Tally> {
        let mut dom0 = Dom0::new()?;
        let tally = run(&mut dom0, probes, |failure| {
            if !is_quiet {
                pr_err!(
                    "probe '{}', step {}: {} is {} ({:#x}), not {} ({:#x})\n",
                    failure.probe,
                    failure.step,
                    failure.what,
                    failure.got,
                    failure.got,
                    failure.wanted,
                    failure.wanted
                );
            }
        });
        if tally.is_spoiled {
            // Their state is unknown, so the pages must not be reused.
            core::mem::forget(dom0);
        }
        Ok(tally)
    }

    /// Skips the test without what the tables need: Xen, and the rights of dom0.
    fn skip_without_dom0() -> bool {
        if kunit::skip_without_xen() {
            return true;
        }
        let is_guest = !StartInfo::is_initial_domain();
        if is_guest {
            kunit::skip(c"not in dom0");
        }
        is_guest
    }

    /// Runs the probes of a table: at least one must run, and none may fail.
    fn check(name: &str, probes: &[Probe]) -> Result {
        if skip_without_dom0() {
            return Ok(());
        }
        let tally = tally(probes, false)?;
        let agree = tally.ran - tally.failed;
        pr_info!(
            "probes of {}: {} of {} as expected\n",
            name,
            agree,
            tally.ran
        );
        if tally.ran == 0 || tally.failed > 0 {
            return Err(EIO);
        }
        Ok(())
    }

    #[test]
    fn leaves() -> Result {
        check("leaves", leaves::PROBES)
    }

    #[test]
    fn tables() -> Result {
        check("tables", tables::PROBES)
    }

    #[test]
    fn updates() -> Result {
        check("mmu_update", updates::PROBES)
    }

    #[test]
    fn mappings() -> Result {
        check("update_va_mapping", mappings::PROBES)
    }

    #[test]
    fn pins() -> Result {
        check("pins", pins::PROBES)
    }

    #[test]
    fn extended_operations() -> Result {
        check("mmuext_op", extended::PROBES)
    }

    #[test]
    fn multicalls() -> Result {
        check("multicall", multicalls::PROBES)
    }

    #[test]
    fn stores() -> Result {
        check("stores to tables", stores::PROBES)
    }

    #[test]
    fn memory() -> Result {
        check("memory_op", memory::PROBES)
    }

    #[test]
    fn mistakes_are_noticed() -> Result {
        if skip_without_dom0() {
            return Ok(());
        }
        let tally = tally(negative::PROBES, true)?;
        assert_eq!(tally.ran, negative::PROBES.len());
        assert_eq!(tally.failed, tally.ran);
        assert!(!tally.is_spoiled);
        Ok(())
    }
}
