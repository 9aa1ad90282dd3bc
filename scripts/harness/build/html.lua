-- SPDX-License-Identifier: GPL-2.0-only
-- For the rendered manuals: the heading is the title, links lead to rendered
-- pages, and comments are left out.

function RawBlock()
  return {}
end

function Link(link)
  if not link.target:match("^%a+:") then
    link.target = link.target:gsub("%.md$", ".html"):gsub("%.md#", ".html#")
  end
  return link
end

function Pandoc(page)
  for _, block in ipairs(page.blocks) do
    if block.t == "Header" then
      page.meta.pagetitle = pandoc.utils.stringify(block.content)
      return page
    end
  end
end
