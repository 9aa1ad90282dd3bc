// SPDX-License-Identifier: GPL-2.0

//! Probes of Xen: does it do what its contract says?
//!
//! The backend relies on rules of Xen, and its host tests on a model of them. Here is the model
//! checked against Xen: tables of operations, with the results that the contract gives them, run
//! in dom0 when it boots, and run on the host on the model. Both have to agree with the tables.
//!
//! Everything but this file and [`dom0`] is shared with the host: `probe` and `steps` are the
//! language, `run` runs it, the others are the tables.

mod dom0;
mod extended;
mod leaves;
mod mappings;
mod memory;
mod mistaken;
mod multicalls;
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
    use crate::platform::{
        is_pv_domain,
        StartInfo, //
    };
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
            // Nobody else may have the pages, in whatever state they are.
            core::mem::forget(dom0);
        }
        Ok(tally)
    }

    /// Whether there is what the tables speak of: Xen, and the rights of dom0.
    fn is_dom0() -> bool {
        is_pv_domain() && StartInfo::is_initial_domain()
    }

    /// Returns how many probes of a table fail; none where there is nothing to probe.
    fn failures(name: &str, probes: &[Probe]) -> Result<usize> {
        if !is_dom0() {
            return Ok(0);
        }
        let tally = tally(probes, false)?;
        let agree = tally.ran - tally.failed;
        pr_info!(
            "probes of {}: {} of {} as expected\n",
            name,
            agree,
            tally.ran
        );
        Ok(tally.failed)
    }

    #[test]
    fn leaves() -> Result {
        assert_eq!(failures("leaves", leaves::PROBES)?, 0);
        Ok(())
    }

    #[test]
    fn tables() -> Result {
        assert_eq!(failures("tables", tables::PROBES)?, 0);
        Ok(())
    }

    #[test]
    fn updates() -> Result {
        assert_eq!(failures("mmu_update", updates::PROBES)?, 0);
        Ok(())
    }

    #[test]
    fn mappings() -> Result {
        assert_eq!(failures("update_va_mapping", mappings::PROBES)?, 0);
        Ok(())
    }

    #[test]
    fn pins() -> Result {
        assert_eq!(failures("pins", pins::PROBES)?, 0);
        Ok(())
    }

    #[test]
    fn extended_operations() -> Result {
        assert_eq!(failures("mmuext_op", extended::PROBES)?, 0);
        Ok(())
    }

    #[test]
    fn multicalls() -> Result {
        assert_eq!(failures("multicall", multicalls::PROBES)?, 0);
        Ok(())
    }

    #[test]
    fn stores() -> Result {
        assert_eq!(failures("stores to tables", stores::PROBES)?, 0);
        Ok(())
    }

    #[test]
    fn memory() -> Result {
        assert_eq!(failures("memory_op", memory::PROBES)?, 0);
        Ok(())
    }

    #[test]
    fn mistakes_are_noticed() -> Result {
        if !is_dom0() {
            return Ok(());
        }
        let tally = tally(mistaken::PROBES, true)?;
        assert_eq!(tally.ran, mistaken::PROBES.len());
        assert_eq!(tally.failed, tally.ran);
        assert!(!tally.is_spoiled);
        Ok(())
    }
}
