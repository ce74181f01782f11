-- How prompts share a pass with tokens that are drawn one by one.
local slices = {}

-- The indexes of counts above 1, in order; and the same by size, the smallest first.
local function prompts(counts)
  local oldest, shortest = {}, {}
  for i, count in ipairs(counts) do
    if count > 1 then oldest[#oldest + 1] = i end
  end
  table.move(oldest, 1, #oldest, 1, shortest)
  table.sort(shortest, function(a, b) return counts[a] < counts[b] or counts[a] == counts[b] and a < b end)
  return oldest, shortest
end

-- How many of counts[i] tokens each row feeds in a pass, the rows being in the order in which they came. One that lacks
-- a single token feeds it. The prompts of the others share `room` tokens: half is for the oldest, so that each gets
-- through, the rest for the shortest first, so that it does not wait for long ones. A row whose share is 0 waits for a
-- later pass.
function slices.share(counts, room)
  local shares = {}
  for i, count in ipairs(counts) do shares[i] = count == 1 and 1 or 0 end
  local oldest, shortest = prompts(counts)
  local function grant(i, most)
    local share = math.min(counts[i] - shares[i], most)
    shares[i], room = shares[i] + share, room - share
  end
  if oldest[1] then grant(oldest[1], room == math.huge and room or room - room // 2) end
  for _, i in ipairs(shortest) do grant(i, room) end
  return shares
end

return slices
