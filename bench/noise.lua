-- How much of the machine others use: its processors' time while this run rests (Linux).
local noise = { busy = 0, all = 0 }

-- Busy and all time of the processors so far, in ticks; stolen time is busy.
local function times()
  local file = io.open "/proc/stat"
  if not file then return 0, 0 end
  local numbers, all = {}, 0
  for number in file:read("l"):gmatch "%d+" do
    numbers[#numbers + 1] = tonumber(number)
    if #numbers <= 8 then all = all + tonumber(number) end -- what follows is contained in these
  end
  file:close()
  return all - numbers[4] - numbers[5], all
end

function noise.sample()
  local busy, all = times()
  os.execute "sleep 0.2"
  local busy_now, all_now = times()
  noise.busy, noise.all = noise.busy + busy_now - busy, noise.all + all_now - all
end

-- A sentence.
function noise.text()
  if noise.all == 0 then return "No part took turns, so how busy the machine was is not known." end
  return ("While the systems rested, others used %.0f%% of the processors."):format(100 * noise.busy / noise.all)
end

return noise
