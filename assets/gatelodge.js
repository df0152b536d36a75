// Shows times in the reader's zone, and names it. Without this they are in UTC.
const format = (second) =>
  new Intl.DateTimeFormat(undefined, {
    year: "numeric",
    month: "short",
    day: "numeric",
    hour: "numeric",
    minute: "2-digit",
    second,
    timeZoneName: "short",
  });
const [toMinutes, toSeconds] = [format(), format("2-digit")];
for (const time of document.querySelectorAll("time[datetime]")) {
  time.title = time.textContent;
  const readable = "seconds" in time.dataset ? toSeconds : toMinutes;
  time.textContent = readable.format(new Date(time.dateTime));
}
