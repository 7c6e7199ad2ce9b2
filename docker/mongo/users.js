// Runs once, when MongoDB's data folder is made: the login of Airflow's connection.
db.getSiblingDB("admin").createUser({
  user: "amato",
  pwd: process.env.MONGO_AMATO_PASSWORD,
  roles: [{ role: "readWrite", db: "clickstream" }],
});
