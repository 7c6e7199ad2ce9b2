// Ends 0 when the server is a writable primary for its administrator. Initiates the replica set
// when it is not yet.
const NOT_YET_INITIALIZED = 94;
const user = encodeURIComponent(process.env.MONGO_INITDB_ROOT_USERNAME);
const password = encodeURIComponent(process.env.MONGO_INITDB_ROOT_PASSWORD);
const admin = connect(`mongodb://${user}:${password}@127.0.0.1:27017/admin?directConnection=true`);
try {
  admin.adminCommand({ replSetGetStatus: 1 });
} catch (error) {
  if (error.code !== NOT_YET_INITIALIZED) {
    throw error;
  }
  const members = [{ _id: 0, host: "mongo:27017" }];
  admin.adminCommand({ replSetInitiate: { _id: "amato", members: members } });
}
quit(admin.hello().isWritablePrimary ? 0 : 1);
