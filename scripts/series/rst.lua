-- SPDX-License-Identifier: GPL-2.0-only
-- Makes a page of the manuals one of the kernel's: links lead to pages that are
-- there as well, or become text, and the list of sections is left to Sphinx.

local pages = {}

function Meta(meta)
  for name in pandoc.utils.stringify(meta.pages):gmatch("%S+") do
    pages[name] = true
  end
  return {}
end

function RawBlock()
  return {}
end

local function leads_within(item)
  local inlines = #item == 1 and item[1].content
  return inlines and #inlines == 1 and inlines[1].t == "Link" and inlines[1].target:sub(1, 1) == "#"
end

function BulletList(list)
  for _, item in ipairs(list.content) do
    if not leads_within(item) then
      return nil
    end
  end
  return {}
end

function Link(link)
  if link.target:match("^%a+:") then
    return nil
  end
  local page = link.target:match("^([%w-]+)%.md")
  if page and pages[page] then
    local text = pandoc.utils.stringify(link.content)
    return pandoc.RawInline("rst", ":doc:`" .. text .. " <" .. page .. ">`")
  end
  return link.content
end

-- Lists are looked at before the links in them are gone.
return { { Meta = Meta }, { RawBlock = RawBlock, BulletList = BulletList }, { Link = Link } }
