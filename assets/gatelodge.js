// Shows times in the reader's zone. Without this they are in UTC.
const readable = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });
for (const time of document.querySelectorAll("time[datetime]")) {
  time.title = time.textContent;
  time.textContent = readable.format(new Date(time.dateTime));
}
