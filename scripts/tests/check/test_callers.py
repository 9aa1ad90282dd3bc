# SPDX-License-Identifier: GPL-2.0-only
"""The list of callers is compared with the tree, on small trees made for each test."""

import tempfile
import unittest
from pathlib import Path
from unittest import mock

from harness.check import callers
from harness.cli import Stop

MAKEFILE = "VERSION = 7\nPATCHLEVEL = 3\nSUBLEVEL = 4\n"

MOVE = """\
/* set_pte_at() is also named here, as is clear_ptes(a, b). */
static __always_inline void fill(struct mm_struct *mm, pte_t *ptep)
{
	set_pte_at(mm, 0, ptep, __pte(1));
}

int move(struct mm_struct *mm, pte_t *ptep)
	__must_hold(ptl)
{
	lazy_mmu_mode_enable();
	fill(mm, ptep);
	mark(mm, ptep);
	lazy_mmu_mode_disable();
	return drop(mm, ptep);
}
"""

DRIVER = """\
#define put(mm, ptep) \\
	set_ptes(mm, 0, ptep, __pte(1), 1)

static int each(pte_t *ptep, unsigned long addr, void *data)
{
	pr_info("set_pte_at(), \\"clear_ptes()\\"\\n");
	return 0;
}

static int all(struct mm_struct *mm, struct ops *ops)
{
	ops->clear_ptes(mm);
	if (ops->clear_ptes)
		put(mm, ops->ptep);
	return apply_to_page_range(mm, 0, sizeof(int[2]), each, NULL);
}
"""

HELPERS = """\
void mark(struct mm_struct *mm, pte_t *ptep)
{
	if (mm) {
		wrprotect_ptes(mm, 0, ptep, 1);
	}
}

int drop(struct mm_struct *mm, pte_t *ptep)
{
	clear_ptes(mm, 0, ptep, 1);
	return 0;
}
"""


def inside(file: str, function: str, section: str, *calls: str) -> dict:
    return {"file": file, "function": function, "sections": [section], "calls": list(calls)} | dict.fromkeys(
        ("waits", "reads", "others", "why"), "text"
    )


def table() -> dict:
    return {
        "linux": ["7.2", "7.3"],
        "section": [{"file": "mm/move.c", "function": "move", "holds": "a lock", "note": "text"}],
        "inside": [
            inside("mm/move.c", "fill", "move", "set_pte_at"),
            inside("mm/helpers.c", "mark", "move", "wrprotect_ptes"),
            inside("drivers/driver.c", "each", "apply_to_pte_range"),
        ],
        "outside": [
            {"file": "drivers/driver.c", "set_ptes": ["put"], "why": "text"},
            {"file": "mm/helpers.c", "clear_ptes": ["drop 7.3", "gone 7.2"], "why": "text"},
        ],
    }


class Trees(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.tree = Path(scratch.name)
        self.write("Makefile", MAKEFILE)
        self.write("mm/move.c", MOVE)
        self.write("mm/helpers.c", HELPERS)
        self.write("drivers/driver.c", DRIVER)

    def write(self, name: str, text: str):
        path = self.tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def wrong(self, known: dict | None = None) -> list[str]:
        return callers.wrong(callers.scan(self.tree), known or table(), callers.version(self.tree))

    def assert_says(self, *parts: str):
        problems = self.wrong()
        self.assertEqual(len(problems), 1, problems)
        for part in parts:
            self.assertIn(part, problems[0])


class Callers(Trees):
    def test_known_ones_are_all(self):
        self.assertEqual(self.wrong(), [])

    def test_new_caller(self):
        self.write("fs/new.c", "long new(struct mm_struct *mm)\n{\n\tset_ptes(mm, 0, NULL, __pte(0), 2);\n\treturn 0;\n}\n")
        self.assert_says("fs/new.c: new() calls set_ptes() and is not known", "[[outside]] or [[inside]]")

    def test_new_call_of_a_known_caller(self):
        self.write("mm/helpers.c", HELPERS.replace("\treturn 0;", "\tset_ptes(mm, 0, ptep, __pte(0), 2);\n\treturn 0;"))
        self.assert_says("mm/helpers.c: drop() calls set_ptes()")

    def test_caller_that_is_gone(self):
        self.write("mm/helpers.c", HELPERS.replace("\tclear_ptes(mm, 0, ptep, 1);\n", ""))
        self.assert_says("mm/helpers.c: drop() does not call clear_ptes() any more")

    def test_mention_is_no_call(self):
        text = '\tpr_err("clear_ptes(%d)", \'"\', nr); // clear_ptes()\n\t/* clear_ptes(\n\t * mm) */\n\tmm->clear_ptes = true;\n'
        self.write("fs/mention.c", f"void mention(struct mm_struct *mm)\n{{\n{text}}}\n")
        self.assertEqual(self.wrong(), [])

    def test_macro_is_a_caller(self):
        self.write("fs/macro.h", "#define clear_one(mm, ptep) \\\n\tdo { \\\n\t\tclear_ptes(mm, 0, ptep, 1); \\\n\t} while (0)\n")
        self.assert_says("fs/macro.h: clear_one() calls clear_ptes()")

    def test_branches_of_ifdef_do_not_swallow_the_next_function(self):
        text = "#ifdef A\nint one(int a)\n{\n#else\nint one(long a)\n{\n#endif\n\treturn 0;\n}\n\n"
        self.write("mm/helpers.c", text + HELPERS)
        self.assertEqual(self.wrong(), [])

    def test_initializers_and_attributes_are_no_functions(self):
        text = (
            'static const struct ops ops = {\n\t.name = NAME("x"),\n\t.run = run,\n};\n\n'
            "static __printf(1, 2) int\nnew(struct mm_struct *mm)\n{\n\tclear_ptes(mm, 0, NULL, 1);\n}\n\n"
            "SYSCALL_DEFINE2(call, int, a, int, b)\n{\n\tclear_ptes(NULL, 0, NULL, 1);\n}\n"
        )
        self.assertEqual([function.name for function in callers.functions(text)], ["new", "call"])


class Sections(Trees):
    def test_new_section(self):
        self.write("mm/helpers.c", HELPERS + "\nvoid new(void)\n{\n\tlazy_mmu_mode_enable();\n\tlazy_mmu_mode_disable();\n}\n")
        self.assert_says("mm/helpers.c: new() enters lazy MMU mode and is no [[section]]")

    def test_section_that_is_gone(self):
        self.write("mm/move.c", MOVE.replace("\tlazy_mmu_mode_enable();\n", ""))
        self.assertEqual(
            [problem.split(":")[0] for problem in self.wrong()],
            # The section, the function that ran in it, and the callers that are outside now.
            ["mm/move.c", "mm/helpers.c", "mm/move.c", "mm/helpers.c", "mm/move.c"],
        )
        self.assertIn("move() does not enter lazy MMU mode any more", self.wrong()[0])

    def test_known_caller_that_a_section_calls_now(self):
        self.write("mm/move.c", MOVE.replace("\tmark(mm, ptep);", "\tmark(mm, ptep);\n\tdrop(mm, ptep);"))
        problems = self.wrong()
        self.assertIn("mm/helpers.c: drop() runs in lazy MMU mode, in move, and calls clear_ptes", problems[0])
        self.assertIn("mm/helpers.c: drop() is not outside", problems[1])

    def test_by_way_of_another_function(self):
        between = "static void between(struct mm_struct *mm)\n{\n\tdrop(mm, NULL);\n}\n\n"
        self.write("mm/move.c", between + MOVE.replace("\tmark(mm, ptep);", "\tmark(mm, ptep);\n\tbetween(mm);"))
        self.assertIn("drop() runs in lazy MMU mode", self.wrong()[0])

    def test_what_is_called_after_a_section_is_outside(self):
        found = callers.scan(self.tree)
        self.assertNotIn(("mm/helpers.c", "drop"), found.inside)

    def test_flush_in_a_section(self):
        self.write("mm/move.c", MOVE.replace("__pte(1));", "__pte(1));\n\tflush_tlb_mm(mm);"))
        self.assert_says("mm/move.c: fill() has more `calls`: flush_tlb_mm")

    def test_new_callback(self):
        self.write("drivers/driver.c", DRIVER.replace("each", "other"))
        problems = self.wrong()
        self.assertIn("other() runs in lazy MMU mode, in apply_to_pte_range, and calls nothing that waits", problems[0])
        self.assertIn("each() does not run in lazy MMU mode any more", problems[1])

    def test_callback_that_is_not_known_by_name(self):
        self.write("drivers/driver.c", DRIVER.replace("each, NULL", "ops->each, NULL"))
        self.assertTrue(any("ops->each of all" in problem for problem in self.wrong()))

    def test_callback_that_begins_to_change_entries(self):
        self.write("drivers/driver.c", DRIVER.replace("\tpr_info(", "\tset_pte_at(NULL, addr, ptep, __pte(0));\n\tpr_info("))
        self.assert_says("drivers/driver.c: each() has more `calls`: set_pte_at")


class Versions(Trees):
    def test_rows_of_another_version_do_not_count(self):
        self.write("Makefile", MAKEFILE.replace("= 3", "= 2"))
        self.assertEqual(
            self.wrong(),
            [
                "mm/helpers.c: drop() calls clear_ptes() and is not known: "
                "find out whether it can be in lazy MMU mode, and add it to [[outside]] or [[inside]]",
                "mm/helpers.c: gone() does not call clear_ptes() any more: remove it from [[outside]]",
            ],
        )

    def test_version_that_was_not_reviewed(self):
        self.write("Makefile", MAKEFILE.replace("= 3", "= 4"))
        self.assert_says("does not know Linux 7.4")


class Page(Trees):
    def setUp(self):
        super().setUp()
        self.text = "".join(f"<!-- table: {name} -->\n\nold\n<!-- end -->\n" for name in callers.tables(table()))

    def test_tables_are_inserted(self):
        text = callers.page(self.text, table())
        self.assertIn("| `mm/move.c`: `fill` | `move` | `set_pte_at` | text | text | text | text |\n", text)
        self.assertIn("| `mm/helpers.c` | `clear_ptes`: `drop` (only 7.3), `gone` (only 7.2) | text |\n", text)
        self.assertNotIn("\nold\n", text)
        self.assertEqual(callers.page(text, table()), text)

    def test_an_empty_place_does_not_reach_into_the_next(self):
        empty = self.text.replace("\nold\n", "\n")
        self.assertEqual(callers.page(empty, table()), callers.page(self.text, table()))

    def test_missing_place(self):
        with self.assertRaises(Stop):
            callers.page(self.text.replace("table: inside", "table: outsider"), table())

    def test_page_that_is_not_up_to_date_fails_the_check(self):
        repo = self.tree / "repo"
        for path in (callers.TABLE, callers.PAGE):
            (repo / path).parent.mkdir(parents=True, exist_ok=True)
        (repo / callers.TABLE).write_text("")
        (repo / callers.PAGE).write_text(self.text)
        with (
            mock.patch.object(callers.paths, "repo", return_value=repo),
            mock.patch.object(callers.paths, "tree", return_value=self.tree),
            mock.patch.object(callers, "load", return_value=table()),
        ):
            with self.assertRaisesRegex(Stop, "does not match"):
                callers.check([])
            callers.write()
            self.assertEqual(callers.check([]), "4 calls, 3 functions in 1 sections")


if __name__ == "__main__":
    unittest.main()
