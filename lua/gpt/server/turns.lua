-- Whose requests are served in a step. Reading one may take long: a text of a megabyte becomes tokens. So there is a
-- time for it: small requests come first, while it lasts, and then the one that has waited longest, so that each has
-- its turn. Nobody waits for all that others sent.
local Turns = {}
Turns.__index = Turns

local SECONDS = 0.02 -- for what came, beside one piece of work that takes longer

-- clock(): the time, in seconds
function Turns.new(clock)
  return setmetatable({ clock = clock, finish = -math.huge, free = true }, Turns)
end

--- Whether there is time for another piece of work in this step. There is for one, however late it is.
function Turns:has_time()
  return self.free or self.clock() < self.finish
end

--- A piece of work is done now.
function Turns:take()
  self.free = false
end

local function smallest_first(a, b)
  return a.reader:size() < b.reader:size()
end

local function oldest(list)
  local first
  for _, connection in ipairs(list) do
    local later = first and first.behind_since <= connection.behind_since
    if connection:is_next() and not later then first = connection end
  end
  return first
end

--- serve(connection) for those whose requests wait, in their order, until time is over; then for one more.
function Turns:step(connections, serve)
  self.free, self.finish = true, self.clock() + SECONDS
  local list = {}
  for _, connection in ipairs(connections) do
    connection.served = 0
    if connection:is_next() then list[#list + 1] = connection end
  end
  table.sort(list, smallest_first)
  for _, connection in ipairs(list) do
    if not self:has_time() then break end
    serve(connection)
  end
  local late = not self:has_time() and oldest(list)
  self.free = true
  if late and late.served == 0 then serve(late) end
end

return Turns
