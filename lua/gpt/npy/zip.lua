-- The members of a ZIP archive that are stored as they are, as numpy.savez writes them. Sizes and places come from the
-- directory at the archive's end; checksums are not computed.
local core = require "gpt.core"
local validate = require "gpt.support.validate"

local END, ENTRY, MEMBER = "PK\5\6", "PK\1\2", "PK\3\4"
local END_SIZE, ENTRY_SIZE, MEMBER_SIZE = 22, 46, 30
local MOST_COMMENT = 65535
local PAST_32_BITS = 0xFFFFFFFF

local function refuse(path, format, ...) core._raise(path .. ": " .. format:format(...)) end

-- Where the directory's description is: the last thing in the file, but for a comment.
local function find_end(path, file)
  local from = math.max(0, file.size - END_SIZE - MOST_COMMENT)
  local tail = file:bytes(from, file.size - from)
  for at = #tail - END_SIZE + 1, 1, -1 do
    if tail:sub(at, at + 3) == END and string.unpack("<I2", tail, at + 20) == #tail - at + 1 - END_SIZE then
      return tail:sub(at, at + END_SIZE - 1), from + at - 1
    end
  end
  refuse(path, "not a .npz file: it has no ZIP directory at its end")
end

local function read_directory(path, file)
  local ending, at = find_end(path, file)
  local disk, first_disk, here, count, size, start = string.unpack("<I2I2I2I2I4I4", ending, 5)
  if disk ~= 0 or first_disk ~= 0 or here ~= count then refuse(path, "one of several parts of a ZIP archive") end
  if count == 0xFFFF or size == PAST_32_BITS or start == PAST_32_BITS then
    refuse(path, "an archive past 4 GiB, which is not read; save arrays one by one with numpy.save")
  end
  if start + size ~= at then refuse(path, "its ZIP directory is not where it says") end
  return file:bytes(start, size), count, start
end

-- Where a member's bytes begin: behind its own header, whose length only it knows.
local function data_of(path, file, member, limit)
  local head = member.header + MEMBER_SIZE <= limit and file:bytes(member.header, MEMBER_SIZE)
  if not head or head:sub(1, 4) ~= MEMBER then
    refuse(path, "%s: no member begins at byte %d", validate.show(member.name), member.header)
  end
  local name, extra = string.unpack("<I2I2", head, 27)
  local first = member.header + MEMBER_SIZE + name + extra
  if first + member.size > limit then refuse(path, "%s: cut short", validate.show(member.name)) end
  return first
end

local function check_member(path, member, method, flags, stored)
  local shown = validate.show(member.name)
  if flags & 1 ~= 0 then refuse(path, "%s is encrypted", shown) end
  if method ~= 0 or stored ~= member.size then
    refuse(path, "%s is compressed, which is not read; numpy.savez stores arrays as they are", shown)
  end
  if member.size == PAST_32_BITS or member.header == PAST_32_BITS then
    refuse(path, "%s: past 4 GiB, which is not read; save it with numpy.save", shown)
  end
end

-- The entry at byte `at` (from 1) of the directory, and where the next one begins.
local function read_entry(path, file, directory, at, limit)
  if at + ENTRY_SIZE - 1 > #directory or directory:sub(at, at + 3) ~= ENTRY then
    refuse(path, "its ZIP directory is cut short")
  end
  local flags, method = string.unpack("<I2I2", directory, at + 8)
  local stored, size, name, extra, comment = string.unpack("<I4I4I2I2I2", directory, at + 20)
  local member = { name = directory:sub(at + ENTRY_SIZE, at + ENTRY_SIZE + name - 1), size = size }
  member.header = string.unpack("<I4", directory, at + 42)
  check_member(path, member, method, flags, stored)
  member.first = data_of(path, file, member, limit)
  return member, at + ENTRY_SIZE + name + extra + comment
end

-- Bytes that several members share would be read as often.
local function check_overlaps(path, members)
  local sorted = table.move(members, 1, #members, 1, {})
  table.sort(sorted, function(a, b) return a.header < b.header end)
  for i = 2, #sorted do
    local before, member = sorted[i - 1], sorted[i]
    if before.first + before.size > member.header then
      refuse(path, "%s, from byte %d to %d, and %s, from byte %d on, overlap", validate.show(before.name),
        before.header, before.first + before.size - 1, validate.show(member.name), member.header)
    end
  end
end

--- @string path for messages
--- @param file an opened one
--- @treturn {table,...} `name`, `first` (byte from 0), `size`
return function(path, file)
  local directory, count, limit = read_directory(path, file)
  local members, seen, at = {}, {}, 1
  for i = 1, count do
    members[i], at = read_entry(path, file, directory, at, limit)
    if seen[members[i].name] then refuse(path, "%s comes twice", validate.show(members[i].name)) end
    seen[members[i].name] = true
  end
  check_overlaps(path, members)
  return members
end
